/** Fields that several run specs share. */
import { z } from 'zod'
import { AGE_ENCODINGS, BACKBONES, EHR_VARIABLES, PRECISIONS, XLA_MODES } from './vocabulary.ts'

export const unit = z.number().min(0).max(1)
export const positiveInt = z.int().positive()
export const seedField = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)
export const datasetField = z.string().min(1)
export const range = z
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
  /** Side of the full-size views and of evaluation images. */
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

/** How the views of every pretraining method are drawn, whatever their size and number. */
export const viewOptions = {
  /** Width / height of RandomResizedCrop's box, log-uniform. */
  ratio: range,
  /** Probability of a horizontal flip. */
  flip: unit,
  /** Before the crop; null: none. */
  affine: affineSchema.nullable(),
  /** Strength s of the jitter that four views in five get: brightness and contrast change by factors in 1 +- .8 s. */
  colourJitter: unit,
  /** Probability of a Gaussian blur, sigma .1 to 2 px. */
  blur: unit,
  /** Probability of greyscale: of a grey image it changes nothing, but it is part of the recipe. */
  greyscale: unit,
}

/** How the numbers are computed, where that is a choice. */
export const executionFields = {
  /** Of matrix products; normalisation, softmax, loss and optimiser are float32 always. */
  precision: z.enum(PRECISIONS),
  xla: z.enum(XLA_MODES),
  /** Images a pass through the trunk: bounds memory and changes no result but its rounding. Null: the whole batch. */
  microBatch: positiveInt.nullable(),
}

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

/** What every pretraining that trains has, whatever its method. */
export const trainedPretrainFields = {
  dataset: datasetField,
  seed: seedField,
  backbone: backboneSchema,
  normalisation: normalisationSchema,
  optimiser: pretrainOptimiserSchema,
  batch: positiveInt,
  epochs: positiveInt,
  pretrainOn: z.enum(['train', 'all']),
  selectCheckpoint: z.enum(['lowest-epoch-loss', 'last']),
  ...executionFields,
}
