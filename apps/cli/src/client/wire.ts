/** What the command line reads of the api's answers; unknown fields are let through, so that an older `cxrlab` reads a newer api. */
import { z } from 'zod'

const countsSchema = z.record(z.string(), z.number())
const runCountsSchema = z.object({ new: z.number(), reused: z.number(), joined: z.number(), retried: z.number() })
const progressSchema = z.object({ done: z.number(), total: z.number(), unit: z.string() }).nullable()

export const submittedSchema = z.object({
  gridId: z.string(),
  created: z.boolean(),
  dryRun: z.boolean(),
  points: z.number(),
  byKind: z.record(z.string(), runCountsSchema),
  warnings: z.array(z.string()),
})
export type Submitted = z.output<typeof submittedSchema>

export const gridSchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.string(),
  points: z.number(),
  runs: countsSchema,
  ended: z.boolean(),
})
export type Grid = z.output<typeof gridSchema>

export const runSchema = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.string(),
  title: z.string(),
  attempts: z.number(),
  progress: progressSchema,
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  message: z.string().nullable(),
})
export type Run = z.output<typeof runSchema>

export const runDetailSchema = runSchema.extend({
  dataset: z.string().nullable(),
  upstream: z.array(z.object({ id: z.string(), kind: z.string(), state: z.string() })),
  downstream: z.number(),
  summary: z.record(z.string(), z.union([z.number(), z.string()])),
  attemptList: z.array(
    z.object({
      number: z.number(),
      state: z.string(),
      ending: z.string().nullable(),
      message: z.string().nullable(),
      worker: z.string().nullable(),
      startedAt: z.string().nullable(),
      endedAt: z.string().nullable(),
    }),
  ),
  artifacts: z.array(z.object({ name: z.string(), sizeBytes: z.number() })),
  grids: z.array(z.object({ id: z.string(), name: z.string() })),
})
export type RunDetail = z.output<typeof runDetailSchema>

/** Seconds from now. */
const estimateSchema = z.object({ p50: z.number(), p90: z.number() }).nullish()

export const whySchema = z.object({
  state: z.string(),
  sentence: z.string(),
  waitsFor: z.array(
    z.object({ id: z.string(), kind: z.string(), state: z.string(), progress: z.number().nullable(), end: estimateSchema }),
  ),
  runsAhead: z.number().nullable(),
  workersOfClass: z.number().nullable(),
  hold: z.string().nullish(),
  start: estimateSchema,
  rootCause: z.object({ id: z.string(), kind: z.string(), message: z.string().nullable() }).nullable(),
})
export type Why = z.output<typeof whySchema>

export const datasetSchema = z.object({
  name: z.string(),
  kind: z.string(),
  fingerprint: z.string(),
  splitRule: z.string().default('official'),
  mimicIv: z.boolean().default(false),
  createdAt: z.string(),
})
export const datasetsSchema = z.object({ items: z.array(datasetSchema) })
export type Dataset = z.output<typeof datasetSchema>

export const datasetCheckSchema = z.object({
  problem: z.string().nullable(),
  changed: z.boolean(),
  images: z.number(),
  patients: z.number(),
  splits: z.array(
    z.object({ split: z.string(), images: z.number(), patients: z.number(), views: countsSchema, positives: countsSchema }),
  ),
  ehr: countsSchema,
  notes: countsSchema,
  warnings: z.array(z.string()),
})
export type DatasetCheck = z.output<typeof datasetCheckSchema>

/** Of an action on a run (`id`, `state`), a grid (`gridId`) or a selection. */
export const outcomeSchema = z.object({
  id: z.string().optional(),
  state: z.string().optional(),
  gridId: z.string().optional(),
  matched: z.number(),
  changed: z.number(),
  asked: z.number(),
  refused: z.number(),
  refusals: z.array(z.object({ runId: z.string(), state: z.string(), reason: z.string() })),
})
export type Outcome = z.output<typeof outcomeSchema>

export const workerSchema = z.object({
  id: z.string(),
  resourceClass: z.string(),
  engine: z.string(),
  slots: z.number(),
  alive: z.boolean(),
  draining: z.string().nullable(),
  lastSeenAt: z.string(),
  attempts: z.array(z.object({ runId: z.string(), title: z.string() })),
})
export type Worker = z.output<typeof workerSchema>

export const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  owner: z.string(),
  role: z.string(),
  createdAt: z.string(),
  lastUsedAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
})
export type Key = z.output<typeof keySchema>
export const createdKeySchema = keySchema.extend({ key: z.string() })

export const auditEventSchema = z.object({
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  data: z.record(z.string(), z.unknown()),
})
export type AuditEvent = z.output<typeof auditEventSchema>

const sumSchema = z.object({ objects: z.number(), sizeBytes: z.number() })

export const garbageReportSchema = z.object({
  dryRun: z.boolean(),
  objects: z.number(),
  sizeBytes: z.number(),
  garbage: z.record(z.string(), sumSchema),
  unfinished: z.object({ count: z.number(), sizeBytes: z.number() }),
  deleted: z.number(),
  unrecognised: z.number(),
  doubtfulRuns: z.array(z.string()),
  complete: z.boolean(),
})
export type GarbageReport = z.output<typeof garbageReportSchema>

const comparedSchema = z.object({ id: z.string(), title: z.string() })

export const comparisonSchema = z.object({
  first: comparedSchema,
  second: comparedSchema,
  images: z.number(),
  patients: z.number(),
  resamples: z.number(),
  rows: z.array(
    z.object({
      label: z.string(),
      metric: z.string(),
      difference: z.number(),
      low: z.number().nullable(),
      high: z.number().nullable(),
      p: z.number().nullable(),
      delong: z.object({ first: z.number(), second: z.number(), p: z.number(), holm: z.number() }).nullable(),
    }),
  ),
})
export type Comparison = z.output<typeof comparisonSchema>

export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() })
}
