/**
 * Moves of runs from state to state, for use inside a transaction. Each is a compare-and-set with its event, guarded by the
 * table of transitions in libs/runs; what becomes
 * runnable gets its attempt and outbox row in the same statement. Rows are locked in the order (level, id): upstreams first.
 */
import { statesBefore } from '#libs/runs'
import type { Sql, Tx } from './database.ts'
import type { PendingEvent } from './pending-events.ts'

export function recordEvent(tx: Sql, event: PendingEvent): void {
  ;(tx as Tx).pendingEvents.push(event)
}

/** Locks runs FOR UPDATE; gives those that exist. */
export async function lockRuns(tx: Sql, runIds: readonly string[]): Promise<{ id: string; state: string }[]> {
  return tx.rows('SELECT id, state FROM run WHERE id = ANY($1::text[]) ORDER BY level, id FOR UPDATE', [...runIds])
}

// In: run ids, delay in ms. Locks: the runs (taken by the caller in order before). The line's order: priority first, and among
// equals evaluations before pretrainings before preparations, so that results appear while a grid is still at work.
const QUEUE_RUNS = `
  WITH moved AS (
    UPDATE run SET state = 'queued', queued_at = clock_timestamp(), ended_at = NULL, message = NULL, root_run_id = NULL, desired = 'run',
      progress_done = NULL, progress_total = NULL, progress_unit = NULL
    WHERE id = ANY($1::text[]) AND state = ANY($3::text[])
    RETURNING id, level, priority, resource_class
  ), made AS (
    INSERT INTO attempt (id, run_id, number, state, resource_class, queue_priority, not_before)
    SELECT gen_random_uuid()::text, m.id, 1 + COALESCE((SELECT max(a.number) FROM attempt a WHERE a.run_id = m.id), 0), 'waiting',
      m.resource_class, (101 - m.priority) * 3 + 2 - m.level, clock_timestamp() + make_interval(secs => $2::float8 / 1000)
    FROM moved m
    RETURNING id, run_id, resource_class, queue_priority, not_before
  ), announced AS (
    INSERT INTO outbox (attempt_id, resource_class, queue_priority, not_before)
    SELECT id, resource_class, queue_priority, not_before FROM made ORDER BY queue_priority, run_id
  )
  SELECT id AS attempt_id, run_id FROM made`

/** The caller has made sure that all upstreams succeeded. Gives the runs that moved. */
export async function queueRuns(
  tx: Sql,
  runIds: readonly string[],
  options: { readonly notBeforeMs?: number } = {},
): Promise<string[]> {
  if (runIds.length === 0) return []
  const made = await tx.rows<{ attempt_id: string; run_id: string }>(
    QUEUE_RUNS,
    [...runIds],
    options.notBeforeMs ?? 0,
    statesBefore('queued'),
  )
  for (const { attempt_id, run_id } of made) recordEvent(tx, { type: 'run.queued', runId: run_id, attemptId: attempt_id })
  if (made.length > 0) await tx.rows(`SELECT pg_notify('cxrlab_outbox', '')::text`)
  return made.map(({ run_id }) => run_id)
}

const LOCK_DEPENDENTS = `
  SELECT r.id FROM run r WHERE r.id IN (SELECT downstream_id FROM edge WHERE upstream_id = $1::text)
  ORDER BY r.level, r.id FOR UPDATE`

// After the lock, in a statement of its own: it must see what other transactions committed while this one waited for the lock.
const READY_DEPENDENTS = `
  SELECT r.id FROM run r JOIN edge e ON e.downstream_id = r.id
  WHERE e.upstream_id = $1::text AND r.state = 'blocked'
    AND NOT EXISTS (SELECT 1 FROM edge o JOIN run u ON u.id = o.upstream_id WHERE o.downstream_id = r.id AND u.state <> 'succeeded')`

async function unblockDependents(tx: Sql, runId: string): Promise<void> {
  await tx.rows(LOCK_DEPENDENTS, runId)
  const ready = await tx.rows<{ id: string }>(READY_DEPENDENTS, runId)
  await queueRuns(
    tx,
    ready.map(({ id }) => id),
  )
}

const DEPENDENTS_OF = `
  WITH RECURSIVE below(id) AS (
    SELECT downstream_id FROM edge WHERE upstream_id = $1::text
    UNION SELECT e.downstream_id FROM edge e JOIN below b ON e.upstream_id = b.id
  )`
const LOCK_ALL_DEPENDENTS = `${DEPENDENTS_OF} SELECT r.id FROM run r WHERE r.id IN (SELECT id FROM below) ORDER BY r.level, r.id FOR UPDATE`
const FAIL_DEPENDENTS = `${DEPENDENTS_OF}
  UPDATE run r SET state = 'upstream-failed', ended_at = clock_timestamp(), root_run_id = $1::text, message = $2::text
  WHERE r.id IN (SELECT id FROM below) AND r.state = 'blocked' RETURNING r.id`

/** Everything that waits below a run that failed or was cancelled ends as upstream-failed, naming that run. */
export async function failDependents(tx: Sql, rootRunId: string): Promise<void> {
  const [root] = await tx.rows<{ title: string; state: string }>('SELECT title, state FROM run WHERE id = $1::text', rootRunId)
  await tx.rows(LOCK_ALL_DEPENDENTS, rootRunId)
  const message = `upstream run ${rootRunId.slice(0, 12)} (${root?.title ?? 'unknown'}) ${root?.state ?? 'failed'}`
  const failed = await tx.rows<{ id: string }>(FAIL_DEPENDENTS, rootRunId, message)
  for (const { id } of failed) recordEvent(tx, { type: 'run.upstream-failed', runId: id, data: { root: rootRunId } })
}

const END_RUN = `
  UPDATE run SET state = $2::text, ended_at = clock_timestamp(), message = $3::text, desired = 'run'
  WHERE id = $1::text AND state = ANY($4::text[]) RETURNING id`

/** Ends a run that the caller has locked, and moves what hangs on it. False: it had ended before, or its state does not lead there. */
export async function endRun(
  tx: Sql,
  runId: string,
  state: 'succeeded' | 'failed' | 'cancelled',
  message: string | null,
): Promise<boolean> {
  const ended = await tx.rows(END_RUN, runId, state, message, statesBefore(state))
  if (ended.length === 0) return false
  recordEvent(tx, { type: `run.${state}`, runId })
  if (state === 'succeeded') await unblockDependents(tx, runId)
  else await failDependents(tx, runId)
  return true
}
