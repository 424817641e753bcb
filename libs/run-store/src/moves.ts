/**
 * Moves of runs from state to state, for use inside a transaction. Each is a compare-and-set with its event, guarded by the
 * table of transitions in libs/runs; what becomes runnable gets its attempt and outbox row in the same statement. Rows are locked in the order (level, id): upstreams first.
 */
import { FAILS_WITH_UPSTREAM, statesBefore } from '#libs/runs'
import type { Sql, Tx } from './database.ts'
import type { PendingEvent } from './pending-events.ts'

export function recordEvent(tx: Sql, event: PendingEvent): void {
  ;(tx as Tx).pendingEvents.push(event)
}

/** Locks runs FOR UPDATE; gives those that exist. */
export async function lockRuns(tx: Sql, runIds: readonly string[]): Promise<{ id: string; state: string }[]> {
  return tx.rows('SELECT id, state FROM run WHERE id = ANY($1::text[]) ORDER BY level, id FOR UPDATE', [...runIds])
}

/**
 * Place in the line of an owner, lower first: priority first, and among equals evaluations before pretrainings before
 * preparations, so that results appear while a grid is still at work. `run`: alias of a row with priority and level.
 */
export const urgency = (run: string): string => `(101 - ${run}.priority) * 4 + 3 - ${run}.level`

// In: run ids, delay in ms, micro-batch (null: as in the attempt before). Locks: the runs (taken by the caller in order before).
// The attempt counts for the most urgent live grid that wants the run.
const MAKE_ATTEMPTS = `
  made AS (
    INSERT INTO attempt (id, run_id, number, state, resource_class, queue_priority, not_before, micro_batch, owner, grid_id)
    SELECT gen_random_uuid()::text, m.id, 1 + COALESCE(last.number, 0), 'waiting', m.resource_class, ${urgency('m')},
      clock_timestamp() + make_interval(secs => $2::float8 / 1000), COALESCE($3::int, last.micro_batch),
      COALESCE(wants.owner, 'local'), COALESCE(wants.id, '')
    FROM moved m
    LEFT JOIN LATERAL (
      SELECT number, micro_batch FROM attempt a WHERE a.run_id = m.id ORDER BY number DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
      SELECT g.id, g.owner FROM grid_run gr JOIN grid g ON g.id = gr.grid_id WHERE gr.run_id = m.id
      ORDER BY g.cancelled_at IS NOT NULL, g.priority DESC, g.seq LIMIT 1
    ) AS wants ON true
    RETURNING id, run_id, resource_class, queue_priority, not_before
  ), announced AS (
    INSERT INTO outbox (attempt_id, resource_class, queue_priority, not_before)
    SELECT id, resource_class, queue_priority, not_before FROM made ORDER BY queue_priority, run_id
  )
  SELECT id AS attempt_id, run_id FROM made`

const QUEUE_RUNS = `
  WITH moved AS (
    UPDATE run SET state = 'queued', queued_at = clock_timestamp(), ended_at = NULL, message = NULL, root_run_id = NULL, desired = 'run',
      progress_done = NULL, progress_total = NULL, progress_unit = NULL
    WHERE id = ANY($1::text[]) AND state = ANY($4::text[])
    RETURNING id, level, priority, resource_class
  ), ${MAKE_ATTEMPTS}`

// For runs that were born queued in this transaction.
const FIRST_ATTEMPTS = `
  WITH moved AS (
    SELECT id, level, priority, resource_class FROM run WHERE id = ANY($1::text[]) AND state = 'queued'
  ), ${MAKE_ATTEMPTS}`

/** The caller has made sure that all upstreams succeeded. Gives the runs that moved. */
export async function queueRuns(
  tx: Sql,
  runIds: readonly string[],
  options: { readonly notBeforeMs?: number; readonly microBatch?: number | null } = {},
): Promise<string[]> {
  if (runIds.length === 0) return []
  const made = await tx.rows<MadeAttempt>(
    QUEUE_RUNS,
    [...runIds],
    options.notBeforeMs ?? 0,
    options.microBatch ?? null,
    statesBefore('queued'),
  )
  return announce(tx, made)
}

/** Runs that were inserted as queued get their first attempts. */
export async function makeFirstAttempts(tx: Sql, runIds: readonly string[]): Promise<void> {
  if (runIds.length > 0) await announce(tx, await tx.rows<MadeAttempt>(FIRST_ATTEMPTS, [...runIds], 0, null))
}

interface MadeAttempt {
  readonly attempt_id: string
  readonly run_id: string
}

async function announce(tx: Sql, made: readonly MadeAttempt[]): Promise<string[]> {
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

// In: roots. A run below several names the first of them.
const BELOW = `
  WITH RECURSIVE below(id, root) AS (
    SELECT downstream_id, upstream_id FROM edge WHERE upstream_id = ANY($1::text[])
    UNION SELECT e.downstream_id, b.root FROM edge e JOIN below b ON e.upstream_id = b.id
  )`
const LOCK_BELOW = `${BELOW} SELECT r.id FROM run r WHERE r.id IN (SELECT id FROM below) ORDER BY r.level, r.id FOR UPDATE`
const FAIL_BELOW = `${BELOW}
  UPDATE run r SET state = 'upstream-failed', ended_at = clock_timestamp(), root_run_id = u.id,
    message = 'upstream run ' || left(u.id, 12) || ' (' || u.title || ') ' || u.state
  FROM (SELECT id, min(root) AS root FROM below GROUP BY id) AS b JOIN run u ON u.id = b.root
  WHERE r.id = b.id AND r.state = ANY($2::text[]) RETURNING r.id, u.id AS root`

/** Everything that waits below runs that failed or were cancelled ends as upstream-failed, naming such a run. */
export async function failDependents(tx: Sql, rootRunIds: readonly string[]): Promise<void> {
  if (rootRunIds.length === 0) return
  await tx.rows(LOCK_BELOW, [...rootRunIds])
  const failed = await tx.rows<{ id: string; root: string }>(FAIL_BELOW, [...rootRunIds], [...FAILS_WITH_UPSTREAM])
  for (const { id, root } of failed) recordEvent(tx, { type: 'run.upstream-failed', runId: id, data: { root } })
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
  else await failDependents(tx, [runId])
  return true
}
