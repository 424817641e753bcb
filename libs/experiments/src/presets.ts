/**
 * Presets: the values that a spec gets before a user's overrides. A stored spec is fully resolved, so it never depends on this
 * file. Sources of the values: docs/method.md.
 */
import type { BackboneSpec, EhrSpec, EvaluateSpec, MsnPretrainSpec, NormalisationSpec, PrepareSpec } from './spec.ts'
import type { AgeEncoding, BackboneName, EhrVariable, EvaluationMode, LabelSet, PresetName } from './vocabulary.ts'

/** Sizes of preset `tiny-cpu`: small enough that a laptop pretrains and evaluates in minutes. */
const TINY_CPU = {
  imagePx: 64,
  patchPx: 8,
  focalCount: 2,
  focalPx: 32,
  batch: 32,
  prototypes: 32,
  epochs: 5,
  lr: 5e-4,
  packSidePx: 128,
  /** 64 x 256/224, the paper's ratio of resize to crop. */
  resizePx: 73,
  evaluationLr: 1e-3,
  /**
   * On cached features an epoch costs milliseconds, so the head is trained until it has converged: with the paper's 50 epochs and
   * patience of 5, a few hundred images stop it while the scores still say more of the head's start than of the features.
   */
  cached: { lr: 1e-2, epochs: 300, earlyStopPatience: 300 },
} as const

/** Token width of each backbone (Touvron et al. 2021, DeiT). */
const DIM = { 'vit-tiny': 192, 'vit-small': 384 } as const satisfies Record<BackboneName, number>
/** Heads of 64 columns each, as in DeiT; presets `paper` and `tiny-cpu` take 6 for both, as the paper's authors do. */
const DEIT_HEADS = { 'vit-tiny': 3, 'vit-small': 6 } as const satisfies Record<BackboneName, number>

/** ImageNet's channel statistics; images are grey, repeated to three channels. */
const IMAGENET: NormalisationSpec = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
/** The authors normalise evaluation images otherwise than pretraining images; preset `paper` keeps their mismatch. */
const PAPER_EVALUATION: NormalisationSpec = { mean: [0.4884, 0.455, 0.4171], std: [0.2596, 0.253, 0.2556] }

const SPLIT_SEED = 24

/** Backbone of a preset, before overrides. */
export function presetBackbone(preset: PresetName, name: BackboneName): BackboneSpec {
  const tiny = preset === 'tiny-cpu'
  return {
    name,
    dim: DIM[name],
    depth: 12,
    heads: preset === 'msn' ? DEIT_HEADS[name] : 6,
    mlpRatio: 4,
    patchPx: tiny ? TINY_CPU.patchPx : 16,
    imagePx: tiny ? TINY_CPU.imagePx : 224,
    layerNormEps: 1e-6,
  }
}

/** Decoding of a data set under a preset, before overrides. */
export function presetPrepare(preset: PresetName, dataset: string): PrepareSpec {
  return {
    kind: 'prepare',
    dataset,
    sidePx: preset === 'tiny-cpu' ? TINY_CPU.packSidePx : 256,
    fit: 'centre-crop',
    onBrokenImage: 'fail',
    // The paper evaluates NIH on abnormal images only; published numbers elsewhere include the normal ones.
    includeNoFinding: preset !== 'paper',
    uncertain: 'zeros',
    validationFraction: 0.1,
    splitSeed: SPLIT_SEED,
  }
}

export interface PretrainChoice {
  readonly dataset: string
  readonly seed: number
  /** Resolved, because head sizes follow its dim. */
  readonly backbone: BackboneSpec
  /** Null: vanilla MSN. */
  readonly ehr: { readonly variables: readonly EhrVariable[]; readonly ageEncoding: AgeEncoding | null } | null
}

const presetEhr = (ehr: NonNullable<PretrainChoice['ehr']>): EhrSpec => ({
  variables: [...ehr.variables],
  ageEncoding: ehr.ageEncoding,
  embedDim: 128,
  impute: 'mode-by-other',
  imputeFitOn: 'train',
})

/** The paper's pretraining (Shurrab et al. 2024), with its authors' published code where the text is silent. */
function paperPretrain({ dataset, seed, backbone, ehr }: PretrainChoice): MsnPretrainSpec {
  return {
    kind: 'pretrain',
    method: 'msn',
    dataset,
    seed,
    backbone,
    ehr: ehr && presetEhr(ehr),
    views: {
      focalCount: 10,
      focalPx: 96,
      randomScale: [0.3, 1],
      focalScale: [0.05, 0.3],
      ratio: [3 / 4, 4 / 3],
      flip: 0.5,
      affine: null,
      colourJitter: 0,
    },
    normalisation: IMAGENET,
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
    optimiser: {
      lr: { start: 1e-4, peak: 1e-4, final: 0, warmupEpochs: 0, stretch: 1, granularity: 'epoch' },
      weightDecay: { start: 1e-3, final: 1e-3, skip1d: false },
      betas: [0.9, 0.999],
      eps: 1e-8,
      clipNorm: null,
    },
    batch: 64,
    epochs: 100,
    pretrainOn: 'train',
    selectCheckpoint: 'lowest-epoch-loss',
    precision: 'float32',
  }
}

/** The original MSN recipe (Assran et al. 2022) with the same EHR fusion. */
function originalPretrain(choice: PretrainChoice): MsnPretrainSpec {
  const paper = paperPretrain(choice)
  return {
    ...paper,
    views: { ...paper.views, colourJitter: 0.5 },
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
    selectCheckpoint: 'last',
  }
}

function tinyPretrain(choice: PretrainChoice): MsnPretrainSpec {
  const paper = paperPretrain(choice)
  const lr = { ...paper.optimiser.lr, start: TINY_CPU.lr, peak: TINY_CPU.lr }
  return {
    ...paper,
    views: { ...paper.views, focalCount: TINY_CPU.focalCount, focalPx: TINY_CPU.focalPx },
    prototypes: { ...paper.prototypes, count: TINY_CPU.prototypes },
    optimiser: { ...paper.optimiser, lr },
    batch: TINY_CPU.batch,
    epochs: TINY_CPU.epochs,
  }
}

/** MSN pretraining under a preset, before overrides. */
export function presetPretrain(preset: PresetName, choice: PretrainChoice): MsnPretrainSpec {
  switch (preset) {
    case 'paper':
      return paperPretrain(choice)
    case 'msn':
      return originalPretrain(choice)
    case 'tiny-cpu':
      return tinyPretrain(choice)
  }
}

export interface EvaluateChoice {
  readonly dataset: string
  readonly mode: EvaluationMode
  readonly labels: LabelSet
  readonly labelFraction: number
  readonly seed: number
}

/** `linear-cached` evaluates features of un-augmented images: it has no augmentation to set. */
export const NO_AUGMENTATION: EvaluateSpec['augmentation'] = { flip: 0, affine: null }

/** Evaluation under a preset, before overrides. */
export function presetEvaluate(preset: PresetName, choice: EvaluateChoice): EvaluateSpec {
  const tiny = preset === 'tiny-cpu'
  const cached = tiny && choice.mode === 'linear-cached' ? TINY_CPU.cached : undefined
  return {
    kind: 'evaluate',
    ...choice,
    network: 'target',
    fractionBy: 'patient',
    normalisation: preset === 'msn' ? IMAGENET : PAPER_EVALUATION,
    resizePx: tiny ? TINY_CPU.resizePx : 256,
    augmentation:
      choice.mode === 'linear-cached'
        ? NO_AUGMENTATION
        : { flip: 0.5, affine: { degrees: 45, scale: [0.85, 1.15], translate: 0.15 } },
    optimiser: {
      lr: cached?.lr ?? (tiny ? TINY_CPU.evaluationLr : 1e-4),
      weightDecay: 0,
      betas: [0.9, 0.999],
      eps: 1e-8,
      schedule: 'cosine-epoch',
      plateauFactor: 0.5,
      plateauPatience: 3,
    },
    batch: 64,
    epochs: cached?.epochs ?? 50,
    earlyStopPatience: cached?.earlyStopPatience ?? 5,
    bootstrap: { resamples: 1000, by: 'patient', confidence: 0.95 },
    precision: 'float32',
  }
}
