import { z } from 'zod'
import { METRICS } from '#libs/evaluation'
import type { Comparison } from '../comparison/compare.ts'

const comparedRunSchema = z.object({ id: z.string(), title: z.string() })

export const comparisonSchema = z
  .object({
    first: comparedRunSchema,
    second: comparedRunSchema,
    images: z.int(),
    patients: z.int(),
    resamples: z.int(),
    rows: z.array(
      z.object({
        label: z.string().describe('macro first, then each label that both classes occur in'),
        metric: z.enum(METRICS),
        difference: z.number().describe('first minus second'),
        low: z.number().nullable().describe('95 % interval, paired bootstrap by patient'),
        high: z.number().nullable(),
        p: z.number().nullable().describe('two-sided, of the bootstrap'),
        delong: z
          .object({
            first: z.number(),
            second: z.number(),
            p: z.number(),
            holm: z.number().describe('p, corrected for the labels'),
          })
          .nullable()
          .describe("DeLong's test of AUROC; takes images as independent"),
      }),
    ),
  })
  .meta({ id: 'Comparison' })

type ComparedRun = z.input<typeof comparedRunSchema>

export function wireComparison(
  comparison: Comparison,
  first: ComparedRun,
  second: ComparedRun,
  resamples: number,
): z.input<typeof comparisonSchema> {
  const { images, patients } = comparison
  const [{ id: a, title: titleA }, { id: b, title: titleB }] = [first, second]
  const rows = comparison.rows.map((row) => ({ ...row, delong: row.delong && { ...row.delong } }))
  return { first: { id: a, title: titleA }, second: { id: b, title: titleB }, images, patients, resamples, rows }
}
