/** What the store still names, for the collection of garbage. */
import { hasEnded, type ReferenceReader, type RunReferences } from '#libs/runs'
import type { Sql } from './database.ts'

const REFERENCES = `
  SELECT r.id AS "runId", r.kind, r.state,
    EXISTS (SELECT 1 FROM grid_run gr JOIN grid g ON g.id = gr.grid_id WHERE gr.run_id = r.id AND g.cancelled_at IS NULL) AS wanted,
    ARRAY(
      SELECT name FROM artifact WHERE run_id = r.id UNION SELECT name FROM checkpoint WHERE run_id = r.id ORDER BY 1
    ) AS names
  FROM run r WHERE r.id = ANY($1::text[]) ORDER BY r.id`

export function createReferenceReader(db: Sql): ReferenceReader {
  return {
    async references(runIds) {
      const rows = await db.rows<Omit<RunReferences, 'live'>>(REFERENCES, [...runIds])
      // A paused run has a checkpoint to go on from: it lives.
      return rows.map((row) => ({ ...row, live: !hasEnded(row.state) }))
    },
  }
}
