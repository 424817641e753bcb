/** Specs of pretraining, one a method. */
import { z } from 'zod'
import {
  backboneSchema,
  ehrSchema,
  positiveInt,
  range,
  seedField,
  trainedPretrainFields,
  unit,
  viewOptions,
} from './spec-fields.ts'

const positive = z.number().positive()

export const viewsSchema = z.strictObject({
  /** Focal anchors an image. */
  focalCount: z.int().min(0).max(64),
  focalPx: positiveInt,
  /** RandomResizedCrop area share of the target and of the random anchor, then of focal anchors. */
  randomScale: range,
  focalScale: range,
  ...viewOptions,
})

export const headSchema = z.strictObject({
  hiddenDim: positiveInt,
  outDim: positiveInt,
  /** Whether the two hidden Linear layers carry a bias (preset msn: yes, paper: no). */
  hiddenBias: z.boolean(),
  bnGroups: z.enum(['joint', 'per-size']),
})

export const lossSchema = z.strictObject({
  temperature: positive,
  sharpening: positive,
  /** 0 turns Sinkhorn normalisation off. */
  sinkhornIterations: z.int().min(0).max(100),
  meMaxWeight: z.number().min(0),
})

const targetApply = z.enum(['before-forward', 'after-update'])

export const targetSchema = z.strictObject({
  /** EMA momentum at the first and after the last step. */
  momentum: z.tuple([unit, unit]),
  momentumStretch: z.number().min(1),
  apply: targetApply,
})

export const msnPretrainSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('msn'),
  ...trainedPretrainFields,
  ehr: ehrSchema.nullable(),
  views: viewsSchema,
  /** Share of the patches dropped, of the random anchor and of focal anchors; floor((1 - m) x patches) are kept. */
  mask: z.strictObject({ random: z.number().min(0).lt(1), focal: z.number().min(0).lt(1), shared: z.boolean() }),
  head: headSchema,
  prototypes: z.strictObject({ count: positiveInt, trainable: z.boolean() }),
  loss: lossSchema,
  target: targetSchema,
})
export type MsnPretrainSpec = z.infer<typeof msnPretrainSpecSchema>

/** DINO (Caron et al. 2021, arXiv 2104.14294): the student sees all views, the teacher the global ones. */
export const dinoPretrainSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('dino'),
  ...trainedPretrainFields,
  views: z.strictObject({
    /** Full-size views an image, seen by teacher and student. */
    globalCount: z.int().min(2).max(8),
    /** Small views an image, seen by the student alone. */
    localCount: z.int().min(0).max(64),
    localPx: positiveInt,
    globalScale: range,
    localScale: range,
    ...viewOptions,
  }),
  head: z.strictObject({
    hiddenDim: positiveInt,
    /** Width of the L2-normalised vector before the last, weight-normed layer. */
    bottleneckDim: positiveInt,
    outDim: positiveInt,
    /** Epochs during which the last layer does not move. */
    frozenEpochs: z.int().min(0),
  }),
  loss: z.strictObject({ studentTemperature: positive, teacherTemperature: positive, centreMomentum: unit }),
  /** EMA momentum of the teacher, along half a cosine over all steps. */
  target: z.strictObject({ momentum: z.tuple([unit, unit]), apply: targetApply }),
})
export type DinoPretrainSpec = z.infer<typeof dinoPretrainSpecSchema>

/** MAE (He et al. 2022, arXiv 2111.06377). */
export const maePretrainSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('mae'),
  ...trainedPretrainFields,
  views: z.strictObject({ scale: range, ...viewOptions }),
  /** Share of the patches that the encoder does not see; floor((1 - m) x patches) are kept. */
  mask: z.strictObject({ image: z.number().gt(0).lt(1) }),
  decoder: z.strictObject({ dim: positiveInt, depth: positiveInt, heads: positiveInt, mlpRatio: positive }),
  /** Whether each patch to predict is normalised by its own mean and variance. */
  normPixels: z.boolean(),
})
export type MaePretrainSpec = z.infer<typeof maePretrainSpecSchema>

/** Random initialisation: no data set, no views, so every grid with the same backbone and seed shares it. */
export const randomInitSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('none'),
  seed: seedField,
  backbone: backboneSchema,
})
export type RandomInitSpec = z.infer<typeof randomInitSpecSchema>

/** SHA-256 of an imported file, 64 hex digits. */
export const weightsHash = z.string().regex(/^[0-9a-f]{64}$/, 'the SHA-256 of an imported file, 64 hex digits')

/** Weights from elsewhere, named by the content of their file: no seed and no data set, so every grid with the same file shares it. */
export const importedSpecSchema = z.strictObject({
  kind: z.literal('pretrain'),
  method: z.literal('imported'),
  backbone: backboneSchema,
  weights: weightsHash,
})
export type ImportedSpec = z.infer<typeof importedSpecSchema>

export const pretrainSpecSchema = z.discriminatedUnion('method', [
  msnPretrainSpecSchema,
  dinoPretrainSpecSchema,
  maePretrainSpecSchema,
  randomInitSpecSchema,
  importedSpecSchema,
])
export type PretrainSpec = z.infer<typeof pretrainSpecSchema>
/** A pretraining that trains. */
export type TrainedPretrainSpec = Exclude<PretrainSpec, RandomInitSpec | ImportedSpec>

export const isTrainedPretrain = (spec: PretrainSpec): spec is TrainedPretrainSpec =>
  spec.method !== 'none' && spec.method !== 'imported'
