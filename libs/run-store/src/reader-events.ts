/** Events after a cursor, and the wait for the next. */
import type { LabEvent, LabReader } from '#libs/runs'
import type { Database } from './database.ts'

// A grid's events are its own and those of its runs.
const EVENTS = `
  SELECT id, at, type, run_id AS "runId", grid_id AS "gridId", attempt_id AS "attemptId", data FROM event
  WHERE id > $1::bigint AND ($2::text IS NULL OR run_id = $2::text)
    AND ($3::text IS NULL OR grid_id = $3::text OR run_id IN (SELECT run_id FROM grid_run WHERE grid_id = $3::text))
  ORDER BY id LIMIT $4::int`

export function createEventReader(db: Database): Pick<LabReader, 'events' | 'waitForEvent'> {
  return {
    events: ({ after, runId, gridId, limit }) => db.rows<LabEvent>(EVENTS, after, runId ?? null, gridId ?? null, limit),
    waitForEvent: (timeoutMs, signal) => db.listen('cxrlab_event', timeoutMs, signal),
  }
}
