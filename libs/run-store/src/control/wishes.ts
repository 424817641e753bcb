/** What the workers of running runs are asked to do. */
import { type Desired, WISHES_REPLACED_BY } from '#libs/runs'
import type { Tx } from '../database.ts'
import { recordEvent } from '../moves.ts'

const ASK = `
  WITH locked AS (
    SELECT id FROM run WHERE id = ANY($1::text[]) ORDER BY level, id FOR UPDATE
  )
  UPDATE run SET desired = $2::text FROM locked
  WHERE run.id = locked.id AND run.state = 'running' AND run.desired = ANY($3::text[]) RETURNING run.id`

/** Gives those whose wish changed. */
export async function ask(tx: Tx, runIds: readonly string[], wish: Desired): Promise<readonly string[]> {
  if (runIds.length === 0) return []
  const asked = (await tx.rows<{ id: string }>(ASK, [...runIds], wish, [...WISHES_REPLACED_BY[wish]])).map(({ id }) => id)
  const type = wish === 'run' ? 'run.request-withdrawn' : `run.${wish}-requested`
  for (const runId of asked) recordEvent(tx, { type, runId })
  if (asked.length > 0) await tx.rows(`SELECT pg_notify('cxrlab_wish', '')::text`)
  return asked
}

// In: run ids, locked by the caller; ending; words. Locks: their waiting attempts in the order of ids, as the scheduler does,
// then outbox rows.
const END_WAITING = `
  WITH locked AS (
    SELECT id FROM attempt WHERE run_id = ANY($1::text[]) AND state = 'waiting' ORDER BY id FOR UPDATE
  ), ended AS (
    UPDATE attempt SET state = 'ended', ending = $2::text, message = $3::text, ended_at = clock_timestamp()
    WHERE id IN (SELECT id FROM locked) RETURNING id
  ), taken_back AS (
    DELETE FROM outbox WHERE attempt_id IN (SELECT id FROM ended)
  )
  SELECT id FROM ended`

/** Ends attempts that no worker has. */
export async function endWaiting(tx: Tx, runIds: readonly string[], ending: 'cancelled' | 'paused', message: string) {
  await tx.rows(END_WAITING, [...runIds], ending, message)
}
