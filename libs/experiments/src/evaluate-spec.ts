/** Specs of evaluation: one that trains a classifier, and the test of a trained classifier on another data set. */
import { z } from 'zod'
import { affineSchema, datasetField, executionFields, normalisationSchema, positiveInt, seedField, unit } from './spec-fields.ts'
import { LABEL_SETS, TRAINED_MODES } from './vocabulary.ts'

/** What every evaluation has. */
const evaluationFields = {
  kind: z.literal('evaluate'),
  dataset: datasetField,
  labels: z.enum(LABEL_SETS),
  seed: seedField,
  labelFraction: z.number().gt(0).max(1),
  normalisation: normalisationSchema,
  /** Evaluation images are resized to `resizePx`, then centre-cropped to the backbone's image size. */
  resizePx: positiveInt,
  batch: positiveInt,
  bootstrap: z.strictObject({
    resamples: z.int().min(0).max(100_000),
    by: z.enum(['patient', 'image']),
    confidence: z.number().gt(0).lt(1),
  }),
  ...executionFields,
}

export const evaluateSpecSchema = z.strictObject({
  ...evaluationFields,
  mode: z.enum(TRAINED_MODES),
  /** Which of the two backbones in the checkpoint is evaluated. MAE and random initialisation have `online` alone. */
  network: z.enum(['target', 'online']),
  fractionBy: z.enum(['patient', 'image']),
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
  epochs: positiveInt,
  earlyStopPatience: z.int().min(1),
})
export type EvaluateSpec = z.infer<typeof evaluateSpecSchema>

/**
 * A classifier that another evaluation trained, tested on the test split of `dataset`: nothing is trained. `labelFraction` is the
 * share of labels that it was trained with. Upstream are that evaluation, its pretraining and the pack of `dataset`.
 */
export const transferSpecSchema = z.strictObject({
  ...evaluationFields,
  mode: z.literal('transfer'),
  trainedOn: z.strictObject({ dataset: datasetField, mode: z.enum(TRAINED_MODES) }),
})
export type TransferSpec = z.infer<typeof transferSpecSchema>

export const evaluationSpecSchema = z.discriminatedUnion('mode', [evaluateSpecSchema, transferSpecSchema])
/** Any run of kind `evaluate`. */
export type EvaluationSpec = z.infer<typeof evaluationSpecSchema>
