import { z } from 'zod'
import { AGE_ENCODINGS, EVALUATION_MODES, LABEL_SETS, METHODS, RUN_KINDS } from '#libs/experiments'
import type { GridSummary, LabReader, LedgerRow, SubmittedGrid } from '#libs/runs'
import { isoTime, runStateSchema, stateCountsSchema, wireCounts } from './common.ts'

const runCountsSchema = z.object({
  new: z.int().describe('made by this submission'),
  reused: z.int().describe('already succeeded'),
  joined: z.int().describe('on their way for another grid'),
  retried: z.int().describe('failed before, queued again'),
})

const byKind = <T extends z.ZodType>(value: T) =>
  z.object(Object.fromEntries(RUN_KINDS.map((kind) => [kind, value])) as Record<(typeof RUN_KINDS)[number], T>)

export const submittedGridSchema = z
  .object({
    gridId: z.string(),
    created: z.boolean().describe('false: this very grid was there before, or dryRun'),
    dryRun: z.boolean(),
    points: z.int(),
    runs: runCountsSchema,
    byKind: byKind(runCountsSchema),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'SubmittedGrid' })

export const gridSummarySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    owner: z.string(),
    createdAt: isoTime,
    points: z.int(),
    runs: stateCountsSchema,
    ended: z.boolean(),
  })
  .meta({ id: 'GridSummary' })

export const gridDetailSchema = gridSummarySchema.extend({ byKind: byKind(stateCountsSchema) }).meta({ id: 'GridDetail' })

export const ledgerRowSchema = z
  .object({
    point: z.object({
      index: z.int(),
      method: z.enum(METHODS),
      backbone: z.string(),
      ehr: z.string(),
      ageEncoding: z.enum(AGE_ENCODINGS).or(z.string()).nullable(),
      seed: z.int(),
      pretrainDataset: z.string(),
      dataset: z.string(),
      mode: z.enum(EVALUATION_MODES),
      trainedOn: z.string().nullish().describe('of a transfer: what its classifier was trained as'),
      labels: z.enum(LABEL_SETS),
      labelFraction: z.number(),
      evaluate: z.string().describe('run id of the evaluation'),
      pretrain: z.string().describe('run id of the pretraining'),
    }),
    state: runStateSchema,
    pretrainState: runStateSchema,
    message: z.string().nullable(),
  })
  .meta({ id: 'LedgerRow' })

export function wireSubmitted(grid: SubmittedGrid, dryRun: boolean): z.input<typeof submittedGridSchema> {
  return { ...grid, dryRun, byKind: { ...grid.byKind }, warnings: [...grid.warnings] }
}

export function wireGrid(grid: GridSummary): z.input<typeof gridSummarySchema> {
  const { id, name, owner, points, ended } = grid
  return { id, name, owner, createdAt: grid.createdAt.toISOString(), points, runs: wireCounts(grid.runs), ended }
}

export function wireGridDetail(grid: NonNullable<Awaited<ReturnType<LabReader['grid']>>>): z.input<typeof gridDetailSchema> {
  const { prepare, pretrain, evaluate } = grid.byKind
  return {
    ...wireGrid(grid),
    byKind: { prepare: wireCounts(prepare), pretrain: wireCounts(pretrain), evaluate: wireCounts(evaluate) },
  }
}

export function wireLedgerRow(row: LedgerRow): z.input<typeof ledgerRowSchema> {
  return { point: { ...row.point }, state: row.state, pretrainState: row.pretrainState, message: row.message }
}
