/** The steps that the engine benchmark times, with their state, one batch and their arithmetic. */
import {
  type BackboneConfig,
  backboneInitialState,
  classifierScalars,
  finetuneInitialState,
  finetuneStep,
  type MsnConfig,
  msnBatch,
  msnInitialState,
  msnLayout,
  msnScalars,
  msnTrainStep,
  type StateArrays,
  type Step,
  tf,
} from '#libs/msn'

export interface TimedStep {
  readonly title: string
  readonly step: Step
  readonly state: StateArrays
  readonly batch: Record<string, Float32Array>
  readonly scalars: (step: number) => Record<string, number>
  /** Images that one step takes from the data set. */
  readonly images: number
  /** Floating point operations of the matrix products of one step. */
  readonly flops: number
  /** Steps a sample: one step that is over in no time says little. */
  readonly repeats: number
}

/** A small multiplicative generator: the values do not matter, only that they are the same each time. */
export function stream(name: string): () => number {
  let state = 2166136261
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 16777619) >>> 0
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function noise(name: string, length: number, scale: number, offset: number): Float32Array {
  const next = stream(name)
  return Float32Array.from({ length }, () => offset + scale * next())
}

/** Multiply-adds of one image's forward pass, the last block for the class token alone, as the backbone computes it. */
function forwardMultiplyAdds(config: BackboneConfig, patches: number): { embedding: number; blocks: number } {
  const { dim, depth, mlpRatio, patchPx } = config
  const tokens = patches + 1
  const fullBlock = tokens * dim * dim * (4 + 2 * mlpRatio) + 2 * tokens * tokens * dim
  const classBlock = 2 * tokens * dim * dim + dim * dim * (2 + 2 * mlpRatio) + 2 * tokens * dim
  return { embedding: patches * 3 * patchPx ** 2 * dim, blocks: (depth - 1) * fullBlock + classBlock }
}

/** Forward and backward: the backward pass costs two products for each, the embedding's only one (images have no gradient). */
function trainingFlops(config: BackboneConfig, patches: number, rows: number): number {
  const { embedding, blocks } = forwardMultiplyAdds(config, patches)
  return 2 * rows * (2 * embedding + 3 * blocks)
}

const VIT_TINY: BackboneConfig = {
  dim: 192,
  depth: 12,
  heads: 3,
  mlpRatio: 4,
  patchPx: 16,
  imagePx: 224,
  layerNormEps: 1e-6,
}
const BETAS = [0.9, 0.999] as const

const LABELS = 14

/** ViT-Tiny at 224 px with a head of 14 labels: forward, backward, AdamW on every tensor, moving average of every weight. */
function vitTinyStep(images: number): TimedStep {
  const grid = VIT_TINY.imagePx / VIT_TINY.patchPx
  const shape = [images, grid ** 2, 3 * VIT_TINY.patchPx ** 2]
  const classifier = finetuneStep(VIT_TINY, { labels: LABELS, batch: images, betas: BETAS, eps: 1e-8 })
  const start = finetuneInitialState(VIT_TINY, LABELS, backboneInitialState(VIT_TINY, stream), stream)
  const averages = Object.entries(start).filter(([name]) => !name.startsWith('adam.'))
  return {
    title: `ViT-Tiny 224 px, batch ${images}: forward, backward, AdamW, EMA`,
    step: withMovingAverage(
      classifier,
      averages.map(([name]) => name),
    ),
    state: { ...start, ...Object.fromEntries(averages.map(([name, values]) => [`average.${name}`, values.slice()])) },
    batch: {
      patches: noise(
        'patches',
        shape.reduce((a, b) => a * b),
        1,
        -0.5,
      ),
      targets: noise('targets', images * LABELS, 1, 0).map(Math.round),
      weights: new Float32Array(images * LABELS).fill(1),
    },
    scalars: (step) => ({ ...classifierScalars({ lr: 1e-4, weightDecay: 0.05, betas: BETAS, step }), mix: 0.004 }),
    images,
    flops: trainingFlops(VIT_TINY, grid ** 2, images),
    repeats: 1,
  }
}

/** The same step that also moves `average.<name>` towards each of `names` by the share `mix`. */
function withMovingAverage(step: Step, names: readonly string[]): Step {
  const { state, batch, scalars } = step.signature
  return {
    name: `${step.name}-averaged`,
    signature: {
      state: { ...state, ...Object.fromEntries(names.map((name) => [`average.${name}`, state[name]!])) },
      batch,
      scalars: [...scalars, 'mix'],
    },
    run: (given, arrays, numbers) => {
      const after = step.run(given, arrays, numbers)
      const moved = names.map((name) => {
        const average = given[`average.${name}`]!
        return [`average.${name}`, tf.add(average, tf.mul(tf.sub(after.state[name]!, average), numbers.mix!))] as const
      })
      return { state: { ...after.state, ...Object.fromEntries(moved) }, outputs: after.outputs }
    },
  }
}

/** Preset `tiny-cpu`: 64 px, patches of 8 px, two focal anchors of 32 px, 32 prototypes, EHR of the demographics. */
const TINY_CPU: MsnConfig = {
  backbone: { dim: 192, depth: 12, heads: 6, mlpRatio: 4, patchPx: 8, imagePx: 64, layerNormEps: 1e-6 },
  ehr: { width: 3, embedDim: 128 },
  views: { focalCount: 2, focalPx: 32 },
  normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  mask: { random: 0.15, focal: 0.15, shared: false },
  head: { hiddenDim: 768, outDim: 192, hiddenBias: false, bnGroups: 'joint' },
  prototypes: { count: 32, trainable: false },
  loss: { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 },
  target: { momentum: [0.996, 0.996], momentumStretch: 1, apply: 'before-forward' },
  optimiser: {
    lr: { start: 5e-4, peak: 5e-4, final: 0, warmupEpochs: 0, stretch: 1, granularity: 'epoch' },
    weightDecay: { start: 1e-3, final: 1e-3, skip1d: false },
    betas: BETAS,
    eps: 1e-8,
    clipNorm: null,
  },
  epochs: 5,
}

/** The paper's sizes: 224 px in patches of 16, one random anchor and ten focal ones of 96 px, 1024 prototypes. */
function paperSized(dim: number): MsnConfig {
  return {
    ...TINY_CPU,
    backbone: { ...VIT_TINY, dim, heads: 6 },
    views: { focalCount: 10, focalPx: 96 },
    head: { ...TINY_CPU.head, hiddenDim: 4 * dim, outDim: dim },
    prototypes: { count: 1024, trainable: false },
  }
}

/** One whole MSN training step. */
function msnStep(title: string, config: MsnConfig, images: number): TimedStep {
  const grey = (name: string, rows: number, sidePx: number) => ({ rows, sidePx, data: noise(name, rows * sidePx ** 2, 255, 0) })
  const { views, backbone } = config
  return {
    title: `${title}, batch ${images}${config.microBatch ? ` in micro-batches of ${config.microBatch}` : ''}`,
    step: msnTrainStep(config, images),
    state: msnInitialState(config, stream),
    batch: msnBatch(config, {
      target: grey('target', images, backbone.imagePx),
      random: grey('random', images, backbone.imagePx),
      focal: grey('focal', images * views.focalCount, views.focalPx),
      ehr: noise('ehr', images * 3, 1, 0),
      maskDraws: (sample, view) => stream(`mask ${sample} ${view}`),
    }),
    scalars: (n) => msnScalars(config, { step: n, epoch: 0, stepsPerEpoch: 1000 }),
    images,
    flops: msnFlops(config, images),
    repeats: 1,
  }
}

const CASES = ['sgemm', 'vit-tiny', 'msn-cpu', 'msn-tiny', 'msn-small'] as const
export type CaseName = (typeof CASES)[number]

const SGEMM_SIZE = 1024

/** @param microBatch for the MSN cases */
export function timedStep(name: CaseName, images: number, microBatch: number | null): TimedStep {
  switch (name) {
    case 'sgemm':
      return sgemmStep(SGEMM_SIZE)
    case 'vit-tiny':
      return vitTinyStep(images)
    case 'msn-cpu':
      return msnStep('MSN, preset tiny-cpu', { ...TINY_CPU, microBatch }, images)
    case 'msn-tiny':
      return msnStep('MSN, ViT-Tiny, 12 views', { ...paperSized(192), microBatch }, images)
    case 'msn-small':
      return msnStep('MSN, ViT-Small, 12 views', { ...paperSized(384), microBatch }, images)
  }
}

/** Target forward, anchors forward and backward, without what micro-batches repeat; head and prototypes included, fusion left out (under 1 %). */
function msnFlops(config: MsnConfig, images: number): number {
  const layout = msnLayout(config, images)
  const { dim } = config.backbone
  const { hiddenDim, outDim } = config.head
  const head = dim * hiddenDim + hiddenDim * hiddenDim + hiddenDim * outDim + outDim * config.prototypes.count
  const target = forwardMultiplyAdds(config.backbone, layout.target.kept)
  const anchors =
    trainingFlops(config.backbone, layout.random.kept, layout.random.rows) +
    (layout.focal ? trainingFlops(config.backbone, layout.focal.kept, layout.focal.rows) : 0)
  return 2 * images * (target.embedding + target.blocks + head) + anchors + 6 * layout.anchorRows * head
}

/** The machine's own rate: one product of two square matrices, of which only a number is read back. */
function sgemmStep(size: number): TimedStep {
  return {
    title: `sgemm ${size} x ${size} x ${size}`,
    step: {
      name: `sgemm-${size}`,
      signature: { state: { a: [size, size], b: [size, size] }, batch: {}, scalars: [] },
      run: ({ a, b }) => ({ state: {}, outputs: { sum: tf.sum(tf.matMul(a as never, b as never)) } }),
    },
    state: { a: noise('a', size * size, 1, -0.5), b: noise('b', size * size, 1, -0.5) },
    batch: {},
    scalars: () => ({}),
    images: 0,
    flops: 2 * size ** 3,
    repeats: 20,
  }
}
