/** The end of an attempt and what follows for its run, in one transaction: shared by workers (`end`) and the sweep of leases. */
import {
  type AttemptEnding,
  type AttemptResult,
  type EndedAttempt,
  halvedMicroBatch,
  nextState,
  type RetryPolicy,
  type RunState,
} from '#libs/runs'
import type { Tx } from './database.ts'
import { endRun, lockRuns, queueRuns, recordEvent } from './moves.ts'

export interface EndedRow {
  readonly run_id: string
  readonly number: number
}

/** Moves the run on after `attempt` was marked as ended in this transaction. The run is locked by the caller. */
export async function moveOn(
  tx: Tx,
  attemptId: string,
  attempt: EndedRow,
  result: AttemptResult,
  policy: RetryPolicy,
): Promise<RunState> {
  const { run_id: runId } = attempt
  recordEvent(tx, {
    type: 'attempt.ended',
    runId,
    attemptId,
    // Not the message: it may name an input file.
    data: { ending: result.ending, number: attempt.number },
  })
  const { imagesAtOnce, ...facts } = await history(tx, runId, attemptId, result.ending)
  const next = nextState({ ending: result.ending, message: result.message, ...facts }, policy)
  switch (next.state) {
    case 'succeeded':
      await storeResult(tx, runId, attemptId, result)
      await endRun(tx, runId, 'succeeded', null)
      break
    case 'cancelled':
      await endRun(tx, runId, 'cancelled', result.message)
      break
    case 'failed':
      await endRun(tx, runId, 'failed', next.message)
      break
    case 'queued':
      await queueRuns(tx, [runId], {
        notBeforeMs: next.notBeforeMs,
        microBatch: next.halveMicroBatch && imagesAtOnce !== null ? halvedMicroBatch(imagesAtOnce) : null,
      })
      break
    case 'paused':
      await tx.rows(
        `UPDATE run SET state = 'paused', desired = 'run', message = $2::text WHERE id = $1::text AND state = 'running'`,
        runId,
        result.message,
      )
      recordEvent(tx, { type: 'run.paused', runId })
  }
  return next.state
}

// In: run id, ending, attempt id. The attempt that ends now is among those counted. A worker counts as lost over the run where
// its child had begun. Images at once: the attempt's own micro-batch, else the spec's, else its batch.
const HISTORY = `
  SELECT r.desired,
    count(*) FILTER (WHERE a.ending = $2::text)::int AS times,
    count(DISTINCT a.worker_id) FILTER (WHERE a.ending = 'lost' AND a.started_at IS NOT NULL)::int AS "workersLost",
    COALESCE((SELECT micro_batch FROM attempt WHERE id = $3::text), (r.spec->>'microBatch')::int, (r.spec->>'batch')::int)
      AS "imagesAtOnce"
  FROM run r LEFT JOIN attempt a ON a.run_id = r.id AND a.number > r.budget_from
  WHERE r.id = $1::text GROUP BY r.id`

interface History extends Omit<EndedAttempt, 'ending' | 'message'> {
  /** Null for runs that know no batch. */
  readonly imagesAtOnce: number | null
}

async function history(tx: Tx, runId: string, attemptId: string, ending: AttemptEnding): Promise<History> {
  const [row] = await tx.rows<History>(HISTORY, runId, ending, attemptId)
  if (!row) throw new Error(`run ${runId} vanished while its attempt ended`)
  return row
}

async function storeResult(tx: Tx, runId: string, attemptId: string, result: AttemptResult): Promise<void> {
  await tx.rows(
    `INSERT INTO artifact (run_id, name, attempt_id, sha256, size_bytes)
     SELECT $1::text, a.name, $2::text, a.sha256, a."sizeBytes"
     FROM jsonb_to_recordset($3::jsonb) AS a(name text, sha256 text, "sizeBytes" bigint)
     ON CONFLICT (run_id, name) DO UPDATE SET attempt_id = EXCLUDED.attempt_id, sha256 = EXCLUDED.sha256, size_bytes = EXCLUDED.size_bytes`,
    runId,
    attemptId,
    JSON.stringify(result.artifacts),
  )
  await tx.rows(
    `INSERT INTO result (run_id, label, metric, value, low, high)
     SELECT $1::text, r.label, r.metric, r.value, r.low, r.high
     FROM jsonb_to_recordset($2::jsonb) AS r(label text, metric text, value float8, low float8, high float8)`,
    runId,
    JSON.stringify(result.results),
  )
  await tx.rows(
    `UPDATE run SET summary = $2::jsonb, progress_done = progress_total WHERE id = $1::text`,
    runId,
    JSON.stringify(result.summary),
  )
}

export async function lockRunOf(tx: Tx, attemptId: string): Promise<{ id: string; state: string } | undefined> {
  const [attempt] = await tx.rows<{ run_id: string }>('SELECT run_id FROM attempt WHERE id = $1::text', attemptId)
  if (!attempt) return undefined
  return (await lockRuns(tx, [attempt.run_id]))[0]
}
