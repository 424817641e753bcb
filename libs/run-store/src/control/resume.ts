/** Resuming: paused runs wait again, for their upstreams or for a worker. */
import type { ControlOutcome, ControlRefusal, RunSelector } from '#libs/runs'
import type { Tx } from '../database.ts'
import { queueRuns, recordEvent } from '../moves.ts'
import { takeSubmitTurn } from '../submit-turn.ts'
import { lockSelected, outcomeOf, selectRuns } from './selection.ts'
import { ask } from './wishes.ts'

// In: run ids, locked by the caller. An upstream that ends meanwhile waits for that lock, and then finds the run blocked.
const BLOCK = `
  UPDATE run SET state = 'blocked', message = NULL WHERE id = ANY($1::text[]) AND state = 'paused' RETURNING id`

const READY = `
  SELECT r.id FROM run r WHERE r.id = ANY($1::text[]) AND r.state = 'blocked'
    AND NOT EXISTS (SELECT 1 FROM edge e JOIN run u ON u.id = e.upstream_id WHERE e.downstream_id = r.id AND u.state <> 'succeeded')`

/** paused -> blocked, and on to queued where all upstreams have succeeded. The caller has locked the runs. */
export async function resumeRuns(tx: Tx, runIds: readonly string[]): Promise<readonly string[]> {
  const resumed = (await tx.rows<{ id: string }>(BLOCK, [...runIds])).map(({ id }) => id)
  for (const runId of resumed) recordEvent(tx, { type: 'run.blocked', runId })
  const ready = await tx.rows<{ id: string }>(READY, resumed)
  await queueRuns(
    tx,
    ready.map(({ id }) => id),
  )
  return resumed
}

export async function resume(tx: Tx, selector: RunSelector): Promise<ControlOutcome> {
  const ofGrid = 'gridId' in selector
  if (ofGrid) {
    await takeSubmitTurn(tx)
    await tx.rows('UPDATE grid SET paused_at = NULL WHERE id = $1::text AND paused_at IS NOT NULL', selector.gridId)
  }
  const selected = await lockSelected(tx, await selectRuns(tx, selector), { countPaused: true })
  const withdrawn = selected.flatMap(({ id, state, desired }) => (state === 'running' && desired === 'pause' ? [id] : []))
  const asked = await ask(tx, withdrawn, 'run')
  const resumed = await resumeRuns(
    tx,
    selected.flatMap(({ id, state }) => (state === 'paused' ? [id] : [])),
  )
  if (ofGrid && selected.length > 0)
    recordEvent(tx, { type: 'grid.resumed', gridId: selector.gridId, data: { runs: resumed.length + asked.length } })
  const moved = new Set([...asked, ...resumed])
  const refusals = ofGrid ? [] : selected.filter(({ id }) => !moved.has(id)).map(wrongState)
  return outcomeOf(selected.length, resumed.length, asked.length, refusals)
}

const wrongState = ({ id, state }: { id: string; state: ControlRefusal['state'] }): ControlRefusal => ({
  runId: id,
  state,
  reason: 'wrong-state',
})
