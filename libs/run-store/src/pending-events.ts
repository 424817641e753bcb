/** Events of a transaction, written at its end. */
import { ADVISORY_LOCKS } from './advisory-locks.ts'
import type { Sql } from './database.ts'

export interface PendingEvent {
  readonly type: string
  readonly runId?: string
  readonly gridId?: string
  readonly attemptId?: string
  /** Ids, states, counts; no patient-derived value. */
  readonly data?: Readonly<Record<string, string | number | boolean | null>>
}

const INSERT = `
  WITH written AS (
  INSERT INTO event (type, run_id, grid_id, attempt_id, data)
  SELECT e.value->>'type', e.value->>'run_id', e.value->>'grid_id', e.value->>'attempt_id', COALESCE(e.value->'data', '{}'::jsonb)
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e(value, n)
  ORDER BY e.n
  )
  SELECT pg_notify('cxrlab_event', '')::text`

export async function flushEvents(tx: Sql & { readonly pendingEvents: PendingEvent[] }): Promise<void> {
  const events = tx.pendingEvents.splice(0)
  if (events.length === 0) return
  const records = events.map(({ type, runId, gridId, attemptId, data }) => ({
    type,
    run_id: runId,
    grid_id: gridId,
    attempt_id: attemptId,
    data,
  }))
  await tx.rows(`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.events})::text`)
  await tx.rows(INSERT, JSON.stringify(records))
}
