/** Puts runs that ended without success back to work, on a user's wish. */
import type { Tx } from './database.ts'
import { recordEvent } from './moves.ts'

// In: run ids, locked by the caller. Budgets begin anew: attempts up to now do not count.
const RESTORE = `
  UPDATE run r SET state = 'blocked', ended_at = NULL, root_run_id = NULL, message = NULL, desired = 'run', queued_at = NULL,
    progress_done = NULL, progress_total = NULL, progress_unit = NULL,
    budget_from = COALESCE((SELECT max(a.number) FROM attempt a WHERE a.run_id = r.id), 0)
  WHERE r.id = ANY($1::text[]) AND r.state IN ('failed', 'cancelled', 'upstream-failed')
  RETURNING r.id`

/**
 * failed | cancelled | upstream-failed -> blocked. The caller queues those whose upstreams have all succeeded, in the same
 * transaction, and has made sure that no upstream of the others has ended without success.
 */
export async function restoreRuns(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return
  const restored = await tx.rows<{ id: string }>(RESTORE, [...runIds])
  for (const { id } of restored) recordEvent(tx, { type: 'run.blocked', runId: id })
}
