/** What people do to runs and grids: cancel, retry. */
import type { RunControl, RunState } from '#libs/runs'
import type { Database, Tx } from './database.ts'
import { endRun, lockRuns, queueRuns, recordEvent } from './moves.ts'
import { restoreRuns } from './restore.ts'
import { takeSubmitTurn } from './submit-turn.ts'

const MESSAGE = 'cancelled by a user'

// In: run ids. After the lock, in a statement of its own: a grid that was submitted meanwhile counts.
const UNWANTED = `
  SELECT r.id, r.state FROM run r
  WHERE r.id = ANY($1::text[]) AND r.state IN ('blocked', 'queued', 'running', 'paused')
    AND (SELECT count(*) FROM grid_run gr JOIN grid g ON g.id = gr.grid_id WHERE gr.run_id = r.id AND g.cancelled_at IS NULL) <= $2::int
  ORDER BY r.level, r.id`

const ASK_WORKERS = `UPDATE run SET desired = 'cancel' WHERE id = ANY($1::text[]) AND state = 'running' RETURNING id`

// In: run ids, locked by the caller; words. Locks: their waiting attempts in the order of ids, as the scheduler does, then outbox rows.
const END_WAITING = `
  WITH locked AS (
    SELECT id FROM attempt WHERE run_id = ANY($1::text[]) AND state = 'waiting' ORDER BY id FOR UPDATE
  ), ended AS (
    UPDATE attempt SET state = 'ended', ending = 'cancelled', message = $2::text, ended_at = clock_timestamp()
    WHERE id IN (SELECT id FROM locked) RETURNING id
  ), taken_back AS (
    DELETE FROM outbox WHERE attempt_id IN (SELECT id FROM ended)
  )
  SELECT id FROM ended`

// In: the run. Out: it and all its upstreams that ended without success, and what is upstream-failed below any of these.
const RETRY_SCOPE = `
  WITH RECURSIVE above(id) AS (
    SELECT $1::text UNION SELECT e.upstream_id FROM edge e JOIN above a ON e.downstream_id = a.id
  ), failed(id) AS (
    SELECT r.id FROM run r JOIN above USING (id) WHERE r.state IN ('failed', 'cancelled', 'upstream-failed')
  ), below(id) AS (
    SELECT id FROM failed
    UNION SELECT e.downstream_id FROM edge e JOIN below b ON e.upstream_id = b.id JOIN run r ON r.id = e.downstream_id
      WHERE r.state = 'upstream-failed'
  )
  SELECT id FROM below`

const SCOPE_STATES = `
  SELECT r.id, r.state, r.id = ANY($1::text[]) AS in_scope,
    COALESCE((SELECT array_agg(e.upstream_id) FROM edge e WHERE e.downstream_id = r.id), '{}') AS upstream
  FROM run r
  WHERE r.id = ANY($1::text[]) OR r.id IN (SELECT upstream_id FROM edge WHERE downstream_id = ANY($1::text[]))
  ORDER BY r.level, r.id`

interface ScopeRow {
  readonly id: string
  readonly state: RunState
  readonly in_scope: boolean
  readonly upstream: readonly string[]
}

export function createRunControl(db: Database): RunControl {
  return {
    cancelRun: (runId) => db.transaction((tx) => cancelRun(tx, runId)),
    cancelGrid: (gridId) => db.transaction((tx) => cancelGrid(tx, gridId)),
    retryRun: (runId) => db.transaction((tx) => retryRun(tx, runId)),
  }
}

/** A run that more than one live grid wants is left alone; its state then tells so. */
async function cancelRun(tx: Tx, runId: string): Promise<RunState | undefined> {
  const [run] = await lockRuns(tx, [runId])
  if (!run) return undefined
  const [unwanted] = await tx.rows<{ id: string; state: RunState }>(UNWANTED, [runId], 1)
  if (!unwanted) return run.state as RunState
  if (unwanted.state === 'running') {
    await askWorkers(tx, [runId])
    return 'running'
  }
  await tx.rows(END_WAITING, [runId], MESSAGE)
  await endRun(tx, runId, 'cancelled', MESSAGE)
  return 'cancelled'
}

/** How many runs were cancelled, or asked to stop. */
async function cancelGrid(tx: Tx, gridId: string): Promise<number> {
  await takeSubmitTurn(tx)
  const grids = await tx.rows(
    'UPDATE grid SET cancelled_at = clock_timestamp() WHERE id = $1::text AND cancelled_at IS NULL RETURNING id',
    gridId,
  )
  if (grids.length === 0) return 0
  const members = await tx.rows<{ run_id: string }>('SELECT run_id FROM grid_run WHERE grid_id = $1::text', gridId)
  const ids = members.map(({ run_id }) => run_id)
  await lockRuns(tx, ids)
  const unwanted = await tx.rows<{ id: string; state: RunState }>(UNWANTED, ids, 0)
  const idle = unwanted.filter(({ state }) => state !== 'running').map(({ id }) => id)
  recordEvent(tx, { type: 'grid.cancelled', gridId, data: { runs: unwanted.length } })
  await askWorkers(
    tx,
    unwanted.filter(({ state }) => state === 'running').map(({ id }) => id),
  )
  await tx.rows(END_WAITING, idle, MESSAGE)
  // What hangs on them is wanted by no other grid either, and is among them.
  await tx.rows(
    `UPDATE run SET state = 'cancelled', ended_at = clock_timestamp(), message = $2::text WHERE id = ANY($1::text[])`,
    idle,
    MESSAGE,
  )
  for (const runId of idle) recordEvent(tx, { type: 'run.cancelled', runId })
  return unwanted.length
}

async function askWorkers(tx: Tx, runIds: readonly string[]): Promise<void> {
  const asked = await tx.rows<{ id: string }>(ASK_WORKERS, [...runIds])
  for (const { id } of asked) recordEvent(tx, { type: 'run.cancel-requested', runId: id })
}

/** The run and those above it that ended without success are tried again; what waited below them waits again. */
async function retryRun(tx: Tx, runId: string): Promise<RunState | undefined> {
  const [run] = await tx.rows<{ state: RunState }>('SELECT state FROM run WHERE id = $1::text', runId)
  if (!run) return undefined
  if (run.state === 'paused') return resume(tx, runId)
  if (!['failed', 'cancelled', 'upstream-failed'].includes(run.state)) return run.state
  const scope = (await tx.rows<{ id: string }>(RETRY_SCOPE, runId)).map(({ id }) => id)
  await lockRuns(tx, scope)
  const { restored, ready } = restorable(await tx.rows<ScopeRow>(SCOPE_STATES, scope))
  await restoreRuns(tx, restored)
  await queueRuns(tx, ready)
  const [now] = await tx.rows<{ state: RunState }>('SELECT state FROM run WHERE id = $1::text', runId)
  return now?.state
}

async function resume(tx: Tx, runId: string): Promise<RunState> {
  const [locked] = await lockRuns(tx, [runId])
  if (locked?.state === 'paused') await queueRuns(tx, [runId])
  return 'queued'
}

/** Of the runs in scope those with no upstream left that ended without success. `rows` come upstream first. */
function restorable(rows: readonly ScopeRow[]): { restored: string[]; ready: string[] } {
  const states = new Map(rows.map(({ id, state }) => [id, state]))
  const isOver = (id: string) => ['failed', 'cancelled', 'upstream-failed'].includes(states.get(id) ?? '')
  const restored: string[] = []
  const ready: string[] = []
  for (const { id, in_scope, upstream } of rows) {
    if (!in_scope || !isOver(id) || upstream.some(isOver)) continue
    states.set(id, 'blocked')
    restored.push(id)
    if (upstream.every((above) => states.get(above) === 'succeeded')) ready.push(id)
  }
  return { restored, ready }
}
