/** Priorities: of runs, of grids, and the places of attempts that wait already. */
import { type ControlOutcome, type ControlRefusal, hasEnded, type RunSelector } from '#libs/runs'
import type { Tx } from '../database.ts'
import { recordEvent, urgency } from '../moves.ts'
import { takeSubmitTurn } from '../submit-turn.ts'
import { outcomeOf, selectRuns } from './selection.ts'

// Locks what changes, upstreams first: the selected runs and what they wait for.
const LOCK_ABOVE = `
  WITH RECURSIVE above(id) AS (
    SELECT unnest($1::text[]) UNION SELECT e.upstream_id FROM edge e JOIN above a ON e.downstream_id = a.id
  )
  SELECT r.id, r.state FROM run r WHERE r.id IN (SELECT id FROM above) ORDER BY r.level, r.id FOR UPDATE`

const SET = `UPDATE run SET priority = $2::int WHERE id = ANY($1::text[]) AND priority <> $2::int RETURNING id`
const RAISE = `UPDATE run SET priority = $2::int WHERE id = ANY($1::text[]) AND priority < $2::int RETURNING id`

// A grid's runs go as early as the most urgent live grid asks.
const BY_GRIDS = `
  UPDATE run r SET priority = w.priority
  FROM (
    SELECT gr.run_id, max(g.priority) AS priority FROM grid_run gr JOIN grid g ON g.id = gr.grid_id
    WHERE gr.run_id = ANY($1::text[]) AND (g.cancelled_at IS NULL OR g.id = $2::text) GROUP BY gr.run_id
  ) AS w
  WHERE r.id = w.run_id AND r.priority <> w.priority RETURNING r.id`

// In: run ids, locked by the caller. Locks: their waiting attempts by id, then outbox rows.
const MOVE_IN_LINE = `
  WITH locked AS (
    SELECT a.id, a.run_id FROM attempt a WHERE a.run_id = ANY($1::text[]) AND a.state = 'waiting' ORDER BY a.id FOR UPDATE
  ), moved AS (
    UPDATE attempt a SET queue_priority = ${urgency('r')} FROM locked JOIN run r ON r.id = locked.run_id
    WHERE a.id = locked.id AND a.queue_priority <> ${urgency('r')} RETURNING a.id, a.queue_priority
  ), announced AS (
    UPDATE outbox o SET queue_priority = moved.queue_priority FROM moved WHERE o.attempt_id = moved.id
  )
  SELECT id FROM moved`

/** Gives waiting attempts of runs whose priority changed their new place; the scheduler tells the queue. */
export async function moveInLine(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return
  const moved = await tx.rows(MOVE_IN_LINE, [...runIds])
  if (moved.length > 0) await tx.rows(`SELECT pg_notify('cxrlab_outbox', '')::text`)
}

export async function setPriority(tx: Tx, selector: RunSelector, priority: number): Promise<ControlOutcome> {
  const ofGrid = 'gridId' in selector
  if (ofGrid) {
    await takeSubmitTurn(tx)
    await tx.rows('UPDATE grid SET priority = $2::int WHERE id = $1::text', selector.gridId, priority)
  }
  const selected = new Set(await selectRuns(tx, selector))
  const locked = await tx.rows<{ id: string; state: ControlRefusal['state'] }>(LOCK_ABOVE, [...selected])
  const open = locked.filter(({ state }) => !hasEnded(state)).map(({ id }) => id)
  const own = open.filter((id) => selected.has(id))
  const above = open.filter((id) => !selected.has(id))
  const ids = async (sql: string, ...params: unknown[]) => (await tx.rows<{ id: string }>(sql, ...params)).map(({ id }) => id)
  const changed = ofGrid ? await ids(BY_GRIDS, own, selector.gridId) : await ids(SET, own, priority)
  const raised = await ids(RAISE, above, priority)
  await moveInLine(tx, [...changed, ...raised])
  if (ofGrid && selected.size > 0) recordEvent(tx, { type: 'grid.priority', gridId: selector.gridId, data: { priority } })
  for (const runId of [...changed, ...raised]) recordEvent(tx, { type: 'run.priority', runId, data: { priority } })
  const refusals = locked.flatMap(({ id, state }): ControlRefusal[] =>
    !ofGrid && selected.has(id) && hasEnded(state) ? [{ runId: id, state, reason: 'wrong-state' }] : [],
  )
  return outcomeOf(selected.size, changed.length, 0, refusals)
}
