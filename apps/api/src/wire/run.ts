import { z } from 'zod'
import { ATTEMPT_ENDINGS, ATTEMPT_STATES, HOLD_REASONS, type RunDetail, type RunSummary, type Why } from '#libs/runs'
import { isoTime, runKindSchema, runStateSchema, wireTime } from './common.ts'

const artifactSchema = z.object({ name: z.string(), sha256: z.string(), sizeBytes: z.int() })

export const runSummarySchema = z
  .object({
    id: z.string(),
    kind: runKindSchema,
    state: runStateSchema,
    title: z.string(),
    dataset: z.string().nullable(),
    attempts: z.int(),
    progress: z.object({ done: z.number(), total: z.number(), unit: z.string() }).nullable(),
    createdAt: isoTime,
    startedAt: isoTime.nullable(),
    endedAt: isoTime.nullable(),
    message: z.string().nullable().describe('why it ended as it did'),
  })
  .meta({ id: 'RunSummary' })

export const runDetailSchema = runSummarySchema
  .extend({
    spec: z.record(z.string(), z.unknown()).describe('the fully resolved spec'),
    semantics: z.int(),
    upstream: z.array(z.object({ id: z.string(), kind: runKindSchema, state: runStateSchema })),
    downstream: z.int().describe('runs that wait for this one'),
    summary: z.record(z.string(), z.union([z.number(), z.string()])),
    attemptList: z.array(
      z.object({
        id: z.string(),
        number: z.int(),
        state: z.enum(ATTEMPT_STATES),
        ending: z.enum(ATTEMPT_ENDINGS).nullable(),
        message: z.string().nullable(),
        worker: z.string().nullable(),
        startedAt: isoTime.nullable(),
        endedAt: isoTime.nullable(),
      }),
    ),
    artifacts: z.array(artifactSchema),
    grids: z.array(z.object({ id: z.string(), name: z.string() })),
  })
  .meta({ id: 'RunDetail' })

/** Seconds from now; null where unknown. */
const estimateSchema = z.object({ p50: z.number(), p90: z.number() }).nullable()

export const whySchema = z
  .object({
    state: runStateSchema,
    sentence: z.string(),
    waitsFor: z.array(
      z.object({
        id: z.string(),
        kind: runKindSchema,
        state: runStateSchema,
        progress: z.number().nullable().describe('share done, 0..1'),
        end: estimateSchema.describe('when it should end'),
      }),
    ),
    runsAhead: z.int().nullable(),
    workersOfClass: z.int().nullable(),
    hold: z.enum(HOLD_REASONS).nullable().describe('why the scheduler holds it back: its place in the line, or a limit'),
    start: estimateSchema.describe('when it should start'),
    rootCause: z.object({ id: z.string(), kind: runKindSchema, message: z.string().nullable() }).nullable(),
  })
  .meta({ id: 'Why' })

export const runArtifactsSchema = z.object({
  artifacts: z.array(artifactSchema).describe('what the run recorded when it ended'),
  files: z
    .array(z.object({ path: z.string().describe('append it to this address to read the file'), sizeBytes: z.int() }))
    .describe('what lies in the object store under this run'),
})

export function wireRun(run: RunSummary): z.input<typeof runSummarySchema> {
  const { id, kind, state, title, dataset, attempts, message } = run
  return {
    id,
    kind,
    state,
    title,
    dataset,
    attempts,
    progress: run.progress === null ? null : { ...run.progress },
    createdAt: run.createdAt.toISOString(),
    startedAt: wireTime(run.startedAt),
    endedAt: wireTime(run.endedAt),
    message,
  }
}

export function wireRunDetail(run: RunDetail): z.input<typeof runDetailSchema> {
  return {
    ...wireRun(run),
    spec: { ...run.spec },
    semantics: run.semantics,
    upstream: run.upstream.map((upstream) => ({ ...upstream })),
    downstream: run.downstream,
    summary: { ...run.summary },
    attemptList: run.attemptList.map((attempt) => ({
      ...attempt,
      startedAt: wireTime(attempt.startedAt),
      endedAt: wireTime(attempt.endedAt),
    })),
    artifacts: run.artifacts.map((artifact) => ({ ...artifact })),
    grids: run.grids.map((grid) => ({ ...grid })),
  }
}

export function wireWhy(why: Why): z.input<typeof whySchema> {
  return { ...why, waitsFor: why.waitsFor.map((run) => ({ ...run })), rootCause: why.rootCause && { ...why.rootCause } }
}
