/**
 * The three run specs, fully resolved: every hyper-parameter is an explicit field, so a stored spec never depends on a preset
 * or on a default of later code. Values and their sources: docs/method.md.
 */
import { z } from 'zod'
import { AGE_ENCODINGS, BACKBONES, EHR_VARIABLES, EVALUATION_MODES, LABEL_SETS, PRECISIONS } from './vocabulary.ts'

const unit = z.number().min(0).max(1)
const positiveInt = z.int().positive()
const seed = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)
const range = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low <= high, { message: 'the lower end lies above the upper end' })
const channels = z.tuple([z.number(), z.number(), z.number()])

export const backboneSchema = z.strictObject({
  name: z.enum(BACKBONES),
  /** Token width. */
  dim: positiveInt,
  depth: positiveInt,
  heads: positiveInt,
  mlpRatio: z.number().positive(),
  patchPx: positiveInt,
  /** Side of the full-size views (target and random anchor) and of evaluation images. */
  imagePx: positiveInt,
  layerNormEps: z.number().positive(),
})
export type BackboneSpec = z.infer<typeof backboneSchema>

export const ehrSchema = z.strictObject({
  /** In canonical order, at least one; vanilla is `null` in the pretrain spec. */
  variables: z.array(z.enum(EHR_VARIABLES)).min(1),
  /** Null where age is not among the variables. */
  ageEncoding: z.enum(AGE_ENCODINGS).nullable(),
  embedDim: positiveInt,
  impute: z.enum(['mode-by-other', 'drop', 'unknown-column']),
  imputeFitOn: z.enum(['train', 'all']),
})
export type EhrSpec = z.infer<typeof ehrSchema>

export const normalisationSchema = z.strictObject({ mean: channels, std: channels })
export type NormalisationSpec = z.infer<typeof normalisationSchema>

export const affineSchema = z.strictObject({ degrees: z.number().min(0).max(180), scale: range, translate: unit })

export const viewsSchema = z.strictObject({
  /** Focal anchors an image. */
  focalCount: z.int().min(0).max(64),
  focalPx: positiveInt,
  /** RandomResizedCrop area share of the target and of the random anchor, then of focal anchors. */
  randomScale: range,
  focalScale: range,
  ratio: range,
  flip: unit,
  affine: affineSchema.nullable(),
  colourJitter: unit,
})

export const headSchema = z.strictObject({
  hiddenDim: positiveInt,
  outDim: positiveInt,
  /** Whether the two hidden Linear layers carry a bias (preset msn: yes, paper: no). */
  hiddenBias: z.boolean(),
  bnGroups: z.enum(['joint', 'per-size']),
})

export const lossSchema = z.strictObject({
  temperature: z.number().positive(),
  sharpening: z.number().positive(),
  /** 0 turns Sinkhorn normalisation off. */
  sinkhornIterations: z.int().min(0).max(100),
  meMaxWeight: z.number().min(0),
})

export const targetSchema = z.strictObject({
  /** EMA momentum at the first and after the last step. */
  momentum: z.tuple([unit, unit]),
  momentumStretch: z.number().min(1),
  apply: z.enum(['before-forward', 'after-update']),
})

export const pretrainOptimiserSchema = z.strictObject({
  lr: z.strictObject({
    start: z.number().min(0),
    peak: z.number().min(0),
    final: z.number().min(0),
    warmupEpochs: z.number().min(0),
    /** Cosine decays over `stretch` times the epochs after warm-up (preset msn 1.25). */
    stretch: z.number().min(1),
    /** `epoch`: constant within an epoch; `step`: changes with every step. */
    granularity: z.enum(['epoch', 'step']),
  }),
  weightDecay: z.strictObject({
    start: z.number().min(0),
    final: z.number().min(0),
    /** Preset msn leaves biases, norms and other 1-D tensors undecayed. */
    skip1d: z.boolean(),
  }),
  betas: z.tuple([unit, unit]),
  eps: z.number().positive(),
  /** Clips the encoder's global gradient norm (all but prototypes); null: no clipping. */
  clipNorm: z.number().positive().nullable(),
})

/** Options of one decode of a data set. Everything that changes the pack's bytes is here. */
export const prepareSpecSchema = z.strictObject({
  kind: z.literal('prepare'),
  dataset: z.string().min(1),
  sidePx: positiveInt,
  fit: z.enum(['centre-crop', 'pad']),
  onBrokenImage: z.enum(['fail', 'skip']),
  includeNoFinding: z.boolean(),
  uncertain: z.enum(['zeros', 'ones', 'ignore']),
  /** Share of train_val cut off by patient where the data set brings no validation split. */
  validationFraction: z.number().gt(0).lt(0.5),
  splitSeed: seed,
})
export type PrepareSpec = z.infer<typeof prepareSpecSchema>

export const msnPretrainSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('msn'),
  dataset: z.string().min(1),
  seed,
  backbone: backboneSchema,
  ehr: ehrSchema.nullable(),
  views: viewsSchema,
  normalisation: normalisationSchema,
  /** Share of the patches dropped, of the random anchor and of focal anchors; floor((1 - m) x patches) are kept. */
  mask: z.strictObject({ random: z.number().min(0).lt(1), focal: z.number().min(0).lt(1), shared: z.boolean() }),
  head: headSchema,
  prototypes: z.strictObject({ count: positiveInt, trainable: z.boolean() }),
  loss: lossSchema,
  target: targetSchema,
  optimiser: pretrainOptimiserSchema,
  batch: positiveInt,
  epochs: positiveInt,
  pretrainOn: z.enum(['train', 'all']),
  selectCheckpoint: z.enum(['lowest-epoch-loss', 'last']),
  precision: z.enum(PRECISIONS),
})
export type MsnPretrainSpec = z.infer<typeof msnPretrainSpecSchema>

/** Random initialisation: no data set, no views, so every grid with the same backbone and seed shares it. */
export const randomInitSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('none'),
  seed,
  backbone: backboneSchema,
})
export type RandomInitSpec = z.infer<typeof randomInitSpecSchema>

export const pretrainSpecSchema = z.discriminatedUnion('method', [msnPretrainSpecSchema, randomInitSpecSchema])
export type PretrainSpec = z.infer<typeof pretrainSpecSchema>

export const evaluateSpecSchema = z.strictObject({
  kind: z.literal('evaluate'),
  dataset: z.string().min(1),
  mode: z.enum(EVALUATION_MODES),
  labels: z.enum(LABEL_SETS),
  /** Which of the two backbones in the checkpoint is evaluated. */
  network: z.enum(['target', 'online']),
  seed,
  labelFraction: z.number().gt(0).max(1),
  fractionBy: z.enum(['patient', 'image']),
  normalisation: normalisationSchema,
  /** Evaluation images are resized to `resizePx`, then centre-cropped to the backbone's image size. */
  resizePx: positiveInt,
  augmentation: z.strictObject({ flip: unit, affine: affineSchema.nullable() }),
  optimiser: z.strictObject({
    lr: z.number().positive(),
    weightDecay: z.number().min(0),
    betas: z.tuple([unit, unit]),
    eps: z.number().positive(),
    schedule: z.enum(['cosine-epoch', 'plateau', 'constant']),
    plateauFactor: unit,
    plateauPatience: z.int().min(1),
  }),
  batch: positiveInt,
  epochs: positiveInt,
  earlyStopPatience: z.int().min(1),
  bootstrap: z.strictObject({
    resamples: z.int().min(0).max(100_000),
    by: z.enum(['patient', 'image']),
    confidence: z.number().gt(0).lt(1),
  }),
  precision: z.enum(PRECISIONS),
})
export type EvaluateSpec = z.infer<typeof evaluateSpecSchema>

export const runSpecSchema = z.discriminatedUnion('kind', [prepareSpecSchema, pretrainSpecSchema, evaluateSpecSchema])
export type RunSpec = z.infer<typeof runSpecSchema>
