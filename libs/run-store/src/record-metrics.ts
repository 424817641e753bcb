/** Metric points of an attempt, stored in the order in which readers of a run will see them. */
import type { AttemptRef } from '#libs/runs'
import { ADVISORY_LOCKS } from './advisory-locks.ts'
import type { Sql } from './database.ts'

// In: attempt, token, points as JSON. The turn is the run's: one writer at a time, from the first `seq` to the commit, so that `seq`
// rises in the order of commits and a reader that goes on after a `seq` misses nothing, also while a lost worker's last write and
// the next attempt's first one meet. A lock in memory; rows stay unlocked, for the end of an attempt locks them in another order.
const RECORD = `
  WITH held AS (
    SELECT run_id, number FROM attempt WHERE id = $1::text AND fencing = $2::bigint AND state IN ('leased', 'running')
  ), turn AS MATERIALIZED (
    SELECT run_id, number, pg_advisory_xact_lock(${ADVISORY_LOCKS.metrics}, hashtext(run_id)) FROM held
  ), put AS (
    INSERT INTO metric (run_id, step, name, attempt, value)
    SELECT turn.run_id, p.step, p.name, turn.number, p.value
    FROM turn, jsonb_to_recordset($3::jsonb) AS p(step bigint, name text, value float8)
    ON CONFLICT DO NOTHING
  )
  SELECT 1 AS held FROM held`

/** False: refused, the lease was lost. */
export async function recordMetrics(
  db: Sql,
  { attemptId, fencingToken }: AttemptRef,
  points: readonly { readonly step: number; readonly name: string; readonly value: number }[],
): Promise<boolean> {
  return (await db.rows(RECORD, attemptId, fencingToken, JSON.stringify(points))).length > 0
}
