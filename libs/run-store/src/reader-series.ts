/** Metric series for charts: long ones are summed up in the database, bucket by bucket. */
import type { MetricPoint, SeriesBucket, SeriesReader } from '#libs/runs'
import type { Sql } from './database.ts'

// In: run, name, buckets, first and last step (null: all). A resumed attempt repeats steps: the newest attempt speaks. NaN and
// infinities count as points and are left out of min, max and mean, which they would make useless; a bucket of nothing else has null.
const SERIES = `
  WITH newest AS (
    SELECT DISTINCT ON (step) step, value FROM metric
    WHERE run_id = $1::text AND name = $2::text AND step >= COALESCE($4::bigint, 0) AND ($5::bigint IS NULL OR step <= $5::bigint)
    ORDER BY step, attempt DESC
  ), numbered AS (
    SELECT step, value, ntile($3::int) OVER (ORDER BY step) AS bucket FROM newest
  )
  SELECT min(step) AS "fromStep", max(step) AS "toStep", count(*)::int AS count,
    min(value) FILTER (WHERE value - value = 0) AS min, max(value) FILTER (WHERE value - value = 0) AS max,
    avg(value) FILTER (WHERE value - value = 0) AS mean
  FROM numbered GROUP BY bucket ORDER BY bucket`

const STEP_TIMES = `
  SELECT count(*)::int AS steps, avg(value) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS p50,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY value) AS p90
  FROM (
    SELECT value FROM metric WHERE run_id = $1::text AND name = 'stepSeconds' ORDER BY step DESC LIMIT 1000
  ) AS latest`

type Row = Omit<SeriesBucket, 'fromStep' | 'toStep'> & { readonly fromStep: bigint; readonly toStep: bigint }
interface StepTimes {
  readonly steps: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
}

const POINTS_AFTER = `
  SELECT seq, attempt, step, name, value, at FROM metric
  WHERE run_id = $1::text AND seq > $2::bigint ORDER BY seq LIMIT $3::int`

export function createSeriesReader(db: Sql): SeriesReader {
  return {
    async pointsAfter(runId, { after, limit }) {
      const rows = await db.rows<Omit<MetricPoint, 'step'> & { readonly step: bigint }>(POINTS_AFTER, runId, after, limit)
      return rows.map((row) => ({ ...row, step: Number(row.step) }))
    },
    async metricNames(runId) {
      const rows = await db.rows<{ name: string }>(
        'SELECT DISTINCT name FROM metric WHERE run_id = $1::text ORDER BY name',
        runId,
      )
      return rows.map(({ name }) => name)
    },
    async series(runId, { name, buckets, fromStep, toStep }) {
      const rows = await db.rows<Row>(SERIES, runId, name, buckets, fromStep ?? null, toStep ?? null)
      return rows.map((row) => ({ ...row, fromStep: Number(row.fromStep), toStep: Number(row.toStep) }))
    },
    async stepTimes(runId) {
      const [row] = await db.rows<StepTimes>(STEP_TIMES, runId)
      return row && row.steps > 0 ? row : undefined
    },
  }
}
