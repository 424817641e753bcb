import { z } from 'zod'
import type { MetricPoint, SeriesBucket, StoredMetric } from '#libs/runs'
import { isoTime } from './common.ts'

/** JSON has no NaN or infinity: such a value, of a run that broke down, is null. */
const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null)

export const metricSchema = z.object({ step: z.int(), name: z.string(), value: z.number().nullable(), at: isoTime })

export const metricPointSchema = metricSchema
  .extend({ attempt: z.int().describe('a resumed attempt repeats steps: the higher one counts') })
  .meta({ id: 'MetricPoint' })
export type WireMetricPoint = z.input<typeof metricPointSchema>

export const bucketSchema = z
  .object({
    fromStep: z.int(),
    toStep: z.int().describe('the last step of the bucket, itself included'),
    count: z.int().describe('steps with a value'),
    min: z.number().nullable(),
    max: z.number().nullable(),
    mean: z.number().nullable().describe('null, as min and max, where no value of the bucket is a number'),
  })
  .meta({ id: 'SeriesBucket' })

export function wireMetric({ step, name, value, at }: StoredMetric): z.input<typeof metricSchema> {
  return { step, name, value: finite(value), at: at.toISOString() }
}

export function wireMetricPoint(point: MetricPoint): WireMetricPoint {
  return { ...wireMetric(point), attempt: point.attempt }
}

export function wireBucket({ fromStep, toStep, count, min, max, mean }: SeriesBucket): z.input<typeof bucketSchema> {
  return { fromStep, toStep, count, min: finite(min), max: finite(max), mean: finite(mean) }
}
