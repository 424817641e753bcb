/** Which runs a selector means, and what became of them. */
import { type ControlOutcome, type ControlRefusal, hasEnded, type RunSelector, type RunState } from '#libs/runs'
import type { Tx } from '../database.ts'

const MAX_REFUSALS = 100

const BY_FILTER = `
  SELECT r.id FROM run r
  WHERE ($1::text IS NULL OR r.id IN (SELECT run_id FROM grid_run WHERE grid_id = $1::text))
    AND ($2::text IS NULL OR r.kind = $2::text) AND ($3::text IS NULL OR r.state = $3::text)
    AND ($4::text[] IS NULL OR r.id = ANY($4::text[]))`

/** Ids of the runs that it fits. A grid's runs are looked up under the submit turn, which the caller has taken. */
export async function selectRuns(tx: Tx, selector: RunSelector): Promise<readonly string[]> {
  const filter =
    'filter' in selector ? selector.filter : 'gridId' in selector ? { gridId: selector.gridId } : { runIds: [selector.runId] }
  const rows = await tx.rows<{ id: string }>(
    BY_FILTER,
    filter.gridId ?? null,
    filter.kind ?? null,
    filter.state ?? null,
    filter.runIds ? [...filter.runIds] : null,
  )
  return rows.map(({ id }) => id)
}

export interface WantedRun {
  readonly id: string
  readonly state: RunState
  readonly desired: string
  /** Live grids that want it; those that are paused do not count where `paused` says so. */
  readonly wanted: number
}

const SCOPE = `
  WITH RECURSIVE scope(id) AS (
    SELECT unnest($1::text[]) UNION SELECT e.downstream_id FROM edge e JOIN scope s ON e.upstream_id = s.id
  )
  SELECT r.id FROM run r WHERE r.id IN (SELECT id FROM scope) ORDER BY r.level, r.id FOR UPDATE`

// After the lock, in a statement of its own: a grid that was submitted meanwhile counts.
const WANTED = `
  SELECT r.id, r.state, r.desired, COALESCE(w.wanted, 0) AS wanted
  FROM run r LEFT JOIN (
    SELECT gr.run_id, count(*)::int AS wanted FROM grid_run gr JOIN grid g ON g.id = gr.grid_id
    WHERE gr.run_id = ANY($1::text[]) AND g.cancelled_at IS NULL AND ($2::boolean OR g.paused_at IS NULL) GROUP BY gr.run_id
  ) AS w ON w.run_id = r.id
  WHERE r.id = ANY($1::text[]) ORDER BY r.id`

/** Locks the runs and all that hangs on them, in one statement, so that no later lock breaks the order. In the order of ids. */
export async function lockSelected(
  tx: Tx,
  runIds: readonly string[],
  { countPaused }: { readonly countPaused: boolean },
): Promise<readonly WantedRun[]> {
  await tx.rows(SCOPE, [...runIds])
  return tx.rows<WantedRun>(WANTED, [...runIds], countPaused)
}

export interface Sorted {
  /** May change at once. */
  readonly idle: readonly string[]
  /** Have a worker that must be asked. */
  readonly running: readonly string[]
  readonly refusals: readonly ControlRefusal[]
}

/**
 * @param states from which the action leads on without a worker
 * @param othersMayWant live grids that may want a run without it being left alone: none beside the grid that was acted on, else one
 * @param ofGrid a grid was meant as a whole: that some of its runs are over is no refusal
 */
export function sortSelected(
  runs: readonly WantedRun[],
  { states, othersMayWant, ofGrid }: { states: readonly RunState[]; othersMayWant: number; ofGrid: boolean },
): Sorted {
  const idle: string[] = []
  const running: string[] = []
  const refusals: ControlRefusal[] = []
  for (const { id, state, wanted } of runs) {
    if (state !== 'running' && !states.includes(state)) {
      if (!ofGrid || !hasEnded(state)) refusals.push({ runId: id, state, reason: 'wrong-state' })
    } else if (wanted > othersMayWant) refusals.push({ runId: id, state, reason: 'wanted-by-another-grid' })
    else (state === 'running' ? running : idle).push(id)
  }
  return { idle, running, refusals }
}

export function outcomeOf(matched: number, changed: number, asked: number, refusals: readonly ControlRefusal[]): ControlOutcome {
  return { matched, changed, asked, refused: refusals.length, refusals: refusals.slice(0, MAX_REFUSALS) }
}
