/** Runs counted by state, with a zero for every state that none is in. */
import { RUN_KINDS, type RunKind } from '#libs/experiments'
import { RUN_STATES, type RunState, type StateCounts } from '#libs/runs'

export interface CountRow {
  readonly kind: RunKind
  readonly state: RunState
  readonly count: number
}

export function stateCounts(rows: readonly CountRow[]): StateCounts {
  const counts = Object.fromEntries(RUN_STATES.map((state) => [state, 0])) as Record<RunState, number>
  for (const { state, count } of rows) counts[state] += count
  return counts
}

export function countsByKind(rows: readonly CountRow[]): Record<RunKind, StateCounts> {
  const entries = RUN_KINDS.map((kind) => [kind, stateCounts(rows.filter((row) => row.kind === kind))])
  return Object.fromEntries(entries) as Record<RunKind, StateCounts>
}
