import { z } from 'zod'
import { GARBAGE_REASONS, type GarbageReport } from '#libs/artifacts'

/** Younger objects may belong to an upload that goes on, or to a clock that goes wrong. */
const LEAST_AGE_SECONDS = 600
const DAY_SECONDS = 86_400

export const garbageRequestSchema = z
  .strictObject({
    dryRun: z.boolean().describe('true: say what would go, delete nothing'),
    olderThanSeconds: z
      .int()
      .min(LEAST_AGE_SECONDS)
      .max(3650 * DAY_SECONDS)
      .default(DAY_SECONDS)
      .describe('only what is older may go'),
    unwanted: z
      .boolean()
      .default(false)
      .describe('also everything of runs that ended without success and that only cancelled grids want'),
    limit: z
      .int()
      .min(1)
      .max(100_000)
      .default(10_000)
      .describe('objects that go at most; ask again until the answer is complete'),
  })
  .meta({ id: 'CollectGarbage' })

const sumSchema = z.object({ objects: z.int(), sizeBytes: z.number() })

export const garbageReportSchema = z
  .object({
    dryRun: z.boolean(),
    objects: z.int().describe('looked at'),
    sizeBytes: z.number(),
    garbage: z
      .object(
        Object.fromEntries(GARBAGE_REASONS.map((reason) => [reason, sumSchema])) as Record<
          (typeof GARBAGE_REASONS)[number],
          typeof sumSchema
        >,
      )
      .describe('what goes, or would go, by reason'),
    unfinished: z.object({ count: z.int(), sizeBytes: z.number() }).describe('writes that were never finished'),
    deleted: z.int(),
    unrecognised: z.int().describe('objects that belong to no run: left alone'),
    doubtfulRuns: z.array(z.string()).describe('runs of which a manifest cannot be read: all is kept'),
    complete: z.boolean().describe('false: the limit was reached'),
    sample: z.array(z.string()).describe('some of the keys'),
  })
  .meta({ id: 'GarbageReport' })

export function wireGarbage(report: GarbageReport, dryRun: boolean): z.input<typeof garbageReportSchema> {
  return { ...report, dryRun, doubtfulRuns: [...report.doubtfulRuns], sample: [...report.sample] }
}
