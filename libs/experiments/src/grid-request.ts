/** What a lab submits: lists of values that expand to experiments. The same schema serves HTTP, CLI and YAML files. */
import { z } from 'zod'
import { weightsHash } from './pretrain-spec.ts'
import { AGE_ENCODINGS, BACKBONES, EVALUATION_MODES, LABEL_SETS, METHODS, PRESETS, TRAINED_MODES } from './vocabulary.ts'

const distinct = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .min(1)
    .refine((list) => new Set(list.map((value) => JSON.stringify(value))).size === list.length, {
      message: 'lists a value twice',
    })

const datasetName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'a name of lower-case letters, digits, ".", "_" and "-"')

export const evaluationRequestSchema = z.strictObject({
  /** Data set that is evaluated on; the grid's own where left out. */
  dataset: datasetName.optional(),
  mode: distinct(z.enum(EVALUATION_MODES)).default(['linear']),
  labels: distinct(z.enum(LABEL_SETS)).default(['findings']),
  labelFraction: distinct(z.number().gt(0).max(1)).default([1]),
  /**
   * For mode `transfer`: the evaluations whose classifiers are tested here, with the same labels and label fractions. They run
   * whether or not the grid lists them by themselves.
   */
  transferFrom: z
    .strictObject({
      /** Data set that they are trained on; the grid's own where left out. */
      dataset: datasetName.optional(),
      mode: distinct(z.enum(TRAINED_MODES)).default(['linear']),
    })
    .optional(),
})
export type EvaluationRequest = z.infer<typeof evaluationRequestSchema>

/** A partial spec that is laid over the preset; unknown fields are refused when the resolved spec is parsed. */
const overrides = z.record(z.string(), z.unknown()).optional()

export const gridRequestSchema = z.strictObject({
  name: z.string().trim().min(1).max(120),
  preset: z.enum(PRESETS).default('paper'),
  /** Pretraining data set. */
  dataset: datasetName,
  method: distinct(z.enum(METHODS)).default(['msn']),
  backbone: distinct(z.enum(BACKBONES)).default(['vit-tiny']),
  /**
   * EHR sets: `vanilla`, a variable, a group, `all`, several joined with "+" (`demographics+view`), or `all-combinations`
   * (the 13 of the paper and vanilla).
   */
  ehr: distinct(z.string().min(1).max(120)).default(['vanilla']),
  ageEncoding: distinct(z.enum(AGE_ENCODINGS)).default(['norm']),
  /** For method `imported`: SHA-256 of the file, as `cxrlab import` tells it. */
  weights: weightsHash.optional(),
  seed: distinct(
    z
      .int()
      .min(0)
      .max(2 ** 31 - 1),
  ).default([24]),
  evaluations: z.array(evaluationRequestSchema).min(1),
  /** `pretrain` serves every method that has the field; `msn`, `dino` and `mae` are laid over it for one method. */
  overrides: z
    .strictObject({
      prepare: overrides,
      pretrain: overrides,
      msn: overrides,
      dino: overrides,
      mae: overrides,
      evaluate: overrides,
    })
    .default({}),
  /** Higher runs first; 0 is ordinary. */
  priority: z.int().min(-100).max(100).default(0),
  /** Class of machines for its pretrainings and evaluations: `cpu`, `gpu`, or a name that workers were started with. */
  resourceClass: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'a name of lower-case letters, digits and "-", 40 at most')
    .default('cpu'),
  /** Failed runs that this grid shares are tried again. */
  retryFailed: z.boolean().default(false),
})
export type GridRequest = z.infer<typeof gridRequestSchema>
/** As written by a user, before defaults. */
export type GridRequestInput = z.input<typeof gridRequestSchema>
