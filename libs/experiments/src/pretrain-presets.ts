/** Presets of the pretraining methods, before overrides. Sources of the values: docs/method.md. */
import { IMAGENET, TINY_CPU } from './preset-sizes.ts'
import type { BackboneSpec, DinoPretrainSpec, EhrSpec, MaePretrainSpec, MsnPretrainSpec, TrainedPretrainSpec } from './spec.ts'
import type { AgeEncoding, EhrVariable, PresetName } from './vocabulary.ts'

export interface PretrainChoice {
  readonly dataset: string
  readonly seed: number
  /** Resolved, because head sizes follow its dim. */
  readonly backbone: BackboneSpec
  /** Null: vanilla MSN, and every other method. */
  readonly ehr: { readonly variables: readonly EhrVariable[]; readonly ageEncoding: AgeEncoding | null } | null
}

const presetEhr = (ehr: NonNullable<PretrainChoice['ehr']>): EhrSpec => ({
  variables: [...ehr.variables],
  ageEncoding: ehr.ageEncoding,
  embedDim: 128,
  impute: 'mode-by-other',
  imputeFitOn: 'train',
})

/** The paper draws views with a crop and a flip alone. */
const PLAIN_VIEWS = {
  ratio: [3 / 4, 4 / 3] as [number, number],
  flip: 0.5,
  affine: null,
  colourJitter: 0,
  blur: 0,
  greyscale: 0,
}

/** AdamW with a cosine by epoch to 0 and no warm-up, as all of the paper's pretrainings have it. */
const paperOptimiser = (lr: number, decay: number): MsnPretrainSpec['optimiser'] => ({
  lr: { start: lr, peak: lr, final: 0, warmupEpochs: 0, stretch: 1, granularity: 'epoch' },
  weightDecay: { start: decay, final: decay, skip1d: false },
  betas: [0.9, 0.999],
  eps: 1e-8,
  clipNorm: null,
})

/** What a preset gives every method alike. */
function common(preset: PresetName, { dataset, seed, backbone }: PretrainChoice) {
  const tiny = preset === 'tiny-cpu'
  return {
    kind: 'pretrain',
    dataset,
    seed,
    backbone,
    normalisation: IMAGENET,
    batch: tiny ? TINY_CPU.batch : 64,
    epochs: tiny ? TINY_CPU.epochs : 100,
    pretrainOn: 'train',
    selectCheckpoint: preset === 'msn' ? 'last' : 'lowest-epoch-loss',
    precision: 'float32',
    xla: 'off',
    microBatch: null,
  } as const satisfies Partial<TrainedPretrainSpec>
}

/** The paper's pretraining (Shurrab et al. 2024), with its authors' published code where the text is silent. */
function paperMsn(preset: PresetName, choice: PretrainChoice): MsnPretrainSpec {
  const { backbone, ehr } = choice
  return {
    ...common(preset, choice),
    method: 'msn',
    ehr: ehr && presetEhr(ehr),
    views: { focalCount: 10, focalPx: 96, randomScale: [0.3, 1], focalScale: [0.05, 0.3], ...PLAIN_VIEWS },
    mask: { random: 0.15, focal: 0.15, shared: false },
    head: {
      hiddenDim: 4 * backbone.dim,
      outDim: backbone.dim,
      hiddenBias: false,
      // The authors' EHR model passes all anchors through the head as one batch, their vanilla model one batch a view size.
      bnGroups: ehr ? 'joint' : 'per-size',
    },
    prototypes: { count: 1024, trainable: false },
    loss: { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 },
    target: { momentum: [0.996, 0.996], momentumStretch: 1, apply: 'before-forward' },
    optimiser: paperOptimiser(1e-4, 1e-3),
  }
}

/** The original MSN recipe (Assran et al. 2022) with the same EHR fusion. */
function originalMsn(preset: PresetName, choice: PretrainChoice): MsnPretrainSpec {
  const paper = paperMsn(preset, choice)
  return {
    ...paper,
    views: { ...paper.views, colourJitter: 0.5, blur: 0.5, greyscale: 0.2 },
    mask: { random: 0.15, focal: 0, shared: true },
    head: { hiddenDim: 2048, outDim: 256, hiddenBias: true, bnGroups: 'per-size' },
    prototypes: { count: 1024, trainable: true },
    target: { momentum: [0.996, 1], momentumStretch: 1.25, apply: 'after-update' },
    optimiser: {
      lr: { start: 2e-4, peak: 1e-3, final: 1e-6, warmupEpochs: 15, stretch: 1.25, granularity: 'step' },
      weightDecay: { start: 0.04, final: 0.4, skip1d: true },
      betas: [0.9, 0.999],
      eps: 1e-8,
      clipNorm: 3,
    },
  }
}

function tinyMsn(preset: PresetName, choice: PretrainChoice): MsnPretrainSpec {
  const paper = paperMsn(preset, choice)
  return {
    ...paper,
    views: { ...paper.views, focalCount: TINY_CPU.smallViews, focalPx: TINY_CPU.smallViewPx },
    prototypes: { ...paper.prototypes, count: TINY_CPU.prototypes },
    optimiser: paperOptimiser(TINY_CPU.lr, 1e-3),
  }
}

/** MSN pretraining under a preset. */
export function presetPretrain(preset: PresetName, choice: PretrainChoice): MsnPretrainSpec {
  switch (preset) {
    case 'paper':
      return paperMsn(preset, choice)
    case 'msn':
      return originalMsn(preset, choice)
    case 'tiny-cpu':
      return tinyMsn(preset, choice)
  }
}

/** DINO as the paper's baseline; `tiny-cpu` shrinks it. */
export function presetDino(preset: PresetName, choice: PretrainChoice): DinoPretrainSpec {
  const tiny = preset === 'tiny-cpu'
  return {
    ...common(preset, choice),
    method: 'dino',
    views: {
      globalCount: 2,
      localCount: tiny ? TINY_CPU.smallViews : 6,
      localPx: tiny ? TINY_CPU.smallViewPx : 96,
      globalScale: [0.4, 1],
      localScale: [0.05, 0.4],
      ...PLAIN_VIEWS,
    },
    head: { ...(tiny ? TINY_CPU.dinoHead : { hiddenDim: 512, bottleneckDim: 256, outDim: 1024 }), frozenEpochs: 1 },
    loss: { studentTemperature: 0.1, teacherTemperature: 0.04, centreMomentum: 0.9 },
    target: { momentum: [0.996, 1], apply: 'after-update' },
    optimiser: paperOptimiser(tiny ? TINY_CPU.lr : 1e-4, 1e-3),
  }
}

/** MAE as the paper's baseline; `tiny-cpu` shrinks it. */
export function presetMae(preset: PresetName, choice: PretrainChoice): MaePretrainSpec {
  const tiny = preset === 'tiny-cpu'
  return {
    ...common(preset, choice),
    method: 'mae',
    views: { scale: [0.2, 1], ...PLAIN_VIEWS },
    mask: { image: 0.6 },
    decoder: { ...(tiny ? TINY_CPU.maeDecoder : { dim: 512, depth: 8, heads: 16 }), mlpRatio: 4 },
    normPixels: false,
    optimiser: paperOptimiser(tiny ? TINY_CPU.lr : 1e-5, 1e-4),
  }
}
