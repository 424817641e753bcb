/** Messages between the supervisor and the one fresh child process of an attempt (design section 4), over node IPC. */

import { z } from 'zod'
import {
  DATASET_KINDS,
  datasetOptionsSchema,
  evaluationSpecSchema,
  pretrainSpecSchema,
  RUN_KINDS,
  runSpecSchema,
} from '#libs/experiments'
import { CHECKPOINT_ROLES } from './ports.ts'

const hex = z.string().regex(/^[0-9a-f]{64}$/)

export const assignmentSchema = z.strictObject({
  type: z.literal('assignment'),
  attemptId: z.string(),
  runId: hex,
  spec: runSpecSchema,
  semantics: z.int(),
  upstream: z.array(
    z.strictObject({
      runId: hex,
      kind: z.enum(RUN_KINDS),
      /** The run's spec, where it is a pretraining or an evaluation. */
      pretrain: pretrainSpecSchema.nullable(),
      evaluate: evaluationSpecSchema.nullish(),
    }),
  ),
  /** The registered data set; its addresses are only followed for `prepare`. */
  dataset: z
    .strictObject({
      name: z.string(),
      kind: z.enum(DATASET_KINDS),
      root: z.string(),
      options: datasetOptionsSchema,
      fingerprint: z.string(),
    })
    .nullable(),
  checkpointEveryMs: z.int().positive(),
  /** Images a trunk pass in place of the spec's own number, after memory ran out; null: as the spec says. Results differ by rounding alone. */
  microBatch: z.int().positive().nullable().default(null),
})
export type AssignmentMessage = z.infer<typeof assignmentSchema>

export const toChildSchema = z.discriminatedUnion('type', [
  assignmentSchema,
  z.strictObject({ type: z.literal('checkpoint-and-stop') }),
])
export type ToChild = z.infer<typeof toChildSchema>

const point = z.tuple([z.int(), z.string(), z.number()])
const artifact = z.strictObject({ name: z.string(), sha256: hex, sizeBytes: z.int() })

export const fromChildSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('engine'), engine: z.string(), threads: z.int(), startUpMs: z.number() }),
  z.strictObject({
    type: z.literal('progress'),
    done: z.number(),
    total: z.number(),
    unit: z.enum(['images', 'steps', 'epochs']),
  }),
  /** [step, name, value] triples. */
  z.strictObject({ type: z.literal('metrics'), points: z.array(point).max(5000) }),
  z.strictObject({
    type: z.literal('checkpoint-committed'),
    step: z.int(),
    role: z.enum(CHECKPOINT_ROLES),
    artifact,
  }),
  z.strictObject({
    type: z.literal('done'),
    artifacts: z.array(artifact),
    results: z.array(
      z.strictObject({
        label: z.string(),
        metric: z.enum(['auroc', 'auprc']),
        value: z.number(),
        low: z.number().nullable(),
        high: z.number().nullable(),
      }),
    ),
    /** Counts and timings of the run, no patient-derived value. */
    summary: z.record(z.string(), z.union([z.number(), z.string()])),
  }),
  /** Sent before the process ends with the code of its ending. `message` names field, file and line where there is one. */
  z.strictObject({
    type: z.literal('failed'),
    ending: z.enum(['spec-error', 'non-finite', 'out-of-memory', 'crashed']),
    message: z.string(),
  }),
])
export type FromChild = z.infer<typeof fromChildSchema>

/** Exit codes of the child. */
export const CHILD_EXIT = { done: 0, specError: 64, nonFinite: 70, outOfMemory: 71, stopped: 75 } as const
