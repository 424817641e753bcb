/**
 * The run specs, fully resolved: every hyper-parameter is an explicit field, so a stored spec never depends on a preset or on a
 * default of later code. Values and their sources: docs/method.md.
 */
import { z } from 'zod'
import { evaluationSpecSchema } from './evaluate-spec.ts'
import { pretrainSpecSchema } from './pretrain-spec.ts'
import { datasetField, positiveInt, seedField } from './spec-fields.ts'

export * from './evaluate-spec.ts'
export * from './pretrain-spec.ts'
export {
  affineSchema,
  type BackboneSpec,
  backboneSchema,
  type EhrSpec,
  ehrSchema,
  type NormalisationSpec,
  normalisationSchema,
  pretrainOptimiserSchema,
} from './spec-fields.ts'

/** Options of one decode of a data set. Everything that changes the pack's bytes is here. */
export const prepareSpecSchema = z.strictObject({
  kind: z.literal('prepare'),
  dataset: datasetField,
  sidePx: positiveInt,
  fit: z.enum(['centre-crop', 'pad']),
  onBrokenImage: z.enum(['fail', 'skip']),
  /** NIH ChestX-ray14: whether images without a finding take part. */
  includeNoFinding: z.boolean(),
  /** CheXpert: whether test images without any positive label are left out. */
  dropAllZero: z.boolean(),
  uncertain: z.enum(['zeros', 'ones', 'ignore']),
  /** Share of train_val cut off by patient where the data set brings no validation split. */
  validationFraction: z.number().gt(0).lt(0.5),
  splitSeed: seedField,
})
export type PrepareSpec = z.infer<typeof prepareSpecSchema>

export const runSpecSchema = z.discriminatedUnion('kind', [prepareSpecSchema, pretrainSpecSchema, evaluationSpecSchema])
export type RunSpec = z.infer<typeof runSpecSchema>
