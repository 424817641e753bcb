/** Pausing: what waits is held at once, what runs is asked to checkpoint and stop. */
import { type ControlOutcome, idleStatesBefore, type RunSelector } from '#libs/runs'
import type { Tx } from '../database.ts'
import { recordEvent } from '../moves.ts'
import { takeSubmitTurn } from '../submit-turn.ts'
import { lockSelected, outcomeOf, selectRuns, sortSelected } from './selection.ts'
import { ask, endWaiting } from './wishes.ts'

const MESSAGE = 'paused by a user'

const PAUSE = `
  UPDATE run SET state = 'paused', message = $2::text WHERE id = ANY($1::text[]) AND state = ANY($3::text[]) RETURNING id`

/** States that need no worker to obey. */
const IDLE = idleStatesBefore('paused')

export async function pause(tx: Tx, selector: RunSelector): Promise<ControlOutcome> {
  const ofGrid = 'gridId' in selector
  if (ofGrid) {
    await takeSubmitTurn(tx)
    await tx.rows(
      'UPDATE grid SET paused_at = clock_timestamp() WHERE id = $1::text AND paused_at IS NULL AND cancelled_at IS NULL',
      selector.gridId,
    )
  }
  const selected = await lockSelected(tx, await selectRuns(tx, selector), { countPaused: false })
  const { idle, running, refusals } = sortSelected(selected, { states: IDLE, othersMayWant: ofGrid ? 0 : 1, ofGrid })
  const asked = await ask(tx, running, 'pause')
  await endWaiting(tx, idle, 'paused', MESSAGE)
  const paused = await tx.rows<{ id: string }>(PAUSE, [...idle], MESSAGE, IDLE)
  if (ofGrid && selected.length > 0)
    recordEvent(tx, { type: 'grid.paused', gridId: selector.gridId, data: { runs: paused.length + asked.length } })
  for (const { id } of paused) recordEvent(tx, { type: 'run.paused', runId: id })
  return outcomeOf(selected.length, paused.length, asked.length, refusals)
}
