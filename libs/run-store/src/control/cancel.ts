/** Cancelling: what is idle ends at once, what runs is asked, what another live grid wants is left alone. */
import { type ControlOutcome, idleStatesBefore, type RunSelector } from '#libs/runs'
import type { Tx } from '../database.ts'
import { failDependents, recordEvent } from '../moves.ts'
import { takeSubmitTurn } from '../submit-turn.ts'
import { lockSelected, outcomeOf, selectRuns, sortSelected } from './selection.ts'
import { ask, endWaiting } from './wishes.ts'

const MESSAGE = 'cancelled by a user'

/** States that need no worker to obey. */
const IDLE = idleStatesBefore('cancelled')

const CANCEL = `
  UPDATE run SET state = 'cancelled', ended_at = clock_timestamp(), message = $2::text
  WHERE id = ANY($1::text[]) AND state = ANY($3::text[]) RETURNING id`

export async function cancel(tx: Tx, selector: RunSelector): Promise<ControlOutcome> {
  const ofGrid = 'gridId' in selector
  if (ofGrid) {
    await takeSubmitTurn(tx)
    await tx.rows(
      'UPDATE grid SET cancelled_at = clock_timestamp() WHERE id = $1::text AND cancelled_at IS NULL',
      selector.gridId,
    )
  }
  const selected = await lockSelected(tx, await selectRuns(tx, selector), { countPaused: true })
  const { idle, running, refusals } = sortSelected(selected, {
    states: IDLE,
    othersMayWant: ofGrid ? 0 : 1,
    ofGrid,
  })
  const asked = await ask(tx, running, 'cancel')
  await endWaiting(tx, idle, 'cancelled', MESSAGE)
  const cancelled = await tx.rows<{ id: string }>(CANCEL, [...idle], MESSAGE, IDLE)
  if (ofGrid && selected.length > 0)
    recordEvent(tx, { type: 'grid.cancelled', gridId: selector.gridId, data: { runs: cancelled.length + asked.length } })
  for (const { id } of cancelled) recordEvent(tx, { type: 'run.cancelled', runId: id })
  await failDependents(
    tx,
    cancelled.map(({ id }) => id),
  )
  return outcomeOf(selected.length, cancelled.length, asked.length, refusals)
}
