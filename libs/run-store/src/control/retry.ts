/** Trying again what ended without success. */
import {
  type ControlOutcome,
  type ControlRefusal,
  planRetry,
  type RetryCandidate,
  type RunSelector,
  type RunState,
  UNSUCCESSFUL_STATES,
} from '#libs/runs'
import type { Tx } from '../database.ts'
import { lockRuns, queueRuns } from '../moves.ts'
import { restoreRuns } from '../restore.ts'
import { takeSubmitTurn } from '../submit-turn.ts'
import { outcomeOf, selectRuns } from './selection.ts'

// In: runs. Out: those of them and of all their upstreams that ended without success, and what is upstream-failed below any.
const RETRY_SCOPE = `
  WITH RECURSIVE above(id) AS (
    SELECT unnest($1::text[]) UNION SELECT e.upstream_id FROM edge e JOIN above a ON e.downstream_id = a.id
  ), failed(id) AS (
    SELECT r.id FROM run r JOIN above USING (id) WHERE r.state = ANY($2::text[])
  ), below(id) AS (
    SELECT id FROM failed
    UNION SELECT e.downstream_id FROM edge e JOIN below b ON e.upstream_id = b.id JOIN run r ON r.id = e.downstream_id
      WHERE r.state = 'upstream-failed'
  )
  SELECT id FROM below`

const SCOPE_STATES = `
  SELECT r.id, r.state, r.id = ANY($1::text[]) AS "inScope",
    COALESCE((SELECT array_agg(e.upstream_id) FROM edge e WHERE e.downstream_id = r.id), '{}') AS upstream
  FROM run r
  WHERE r.id = ANY($1::text[]) OR r.id IN (SELECT upstream_id FROM edge WHERE downstream_id = ANY($1::text[]))
  ORDER BY r.level, r.id`

export async function retry(tx: Tx, selector: RunSelector): Promise<ControlOutcome> {
  const ofGrid = 'gridId' in selector
  if (ofGrid) {
    await takeSubmitTurn(tx)
    await tx.rows('UPDATE grid SET cancelled_at = NULL WHERE id = $1::text AND cancelled_at IS NOT NULL', selector.gridId)
  }
  const selected = await selectRuns(tx, selector)
  const scope = (await tx.rows<{ id: string }>(RETRY_SCOPE, [...selected], [...UNSUCCESSFUL_STATES])).map(({ id }) => id)
  const before = new Map((await lockRuns(tx, [...selected, ...scope])).map(({ id, state }) => [id, state as RunState]))
  const { restored, ready } = planRetry(await tx.rows<RetryCandidate>(SCOPE_STATES, scope))
  await restoreRuns(tx, restored)
  await queueRuns(tx, ready)
  const moved = new Set(restored)
  const changed = selected.filter((id) => moved.has(id)).length
  return outcomeOf(selected.length, changed, 0, ofGrid ? [] : refusalsOf(selected, moved, before))
}

function refusalsOf(
  selected: readonly string[],
  moved: ReadonlySet<string>,
  states: ReadonlyMap<string, RunState>,
): readonly ControlRefusal[] {
  return selected.toSorted().flatMap((runId) => {
    const state = states.get(runId)
    if (state === undefined || moved.has(runId)) return []
    const isOver = (UNSUCCESSFUL_STATES as readonly RunState[]).includes(state)
    return [{ runId, state, reason: isOver ? ('upstream-not-retried' as const) : ('wrong-state' as const) }]
  })
}
