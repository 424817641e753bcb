/** The moves of a run from state to state; libs/runs/README.md draws them. */
import { IllegalTransitionError } from './errors.ts'
import { RUN_STATES, type RunState } from './states.ts'

/** Each move with the words that the diagram gives it. The database holds the same table in the trigger `run_state_moves`. */
export const RUN_MOVES: Readonly<Record<RunState, Readonly<Partial<Record<RunState, string>>>>> = {
  blocked: {
    queued: 'all upstreams succeeded',
    paused: 'asked to pause',
    cancelled: 'nobody wants it',
    'upstream-failed': 'an upstream failed or was cancelled',
  },
  queued: { running: 'leased', paused: 'asked to pause', cancelled: 'nobody wants it' },
  running: {
    queued: 'preempted, lost, crashed or out of memory, within budget',
    succeeded: 'artifacts and results stored',
    failed: 'budget used up',
    paused: 'asked to pause',
    cancelled: 'asked to cancel',
  },
  paused: {
    queued: 'resumed',
    blocked: 'resumed, an upstream is not done',
    cancelled: 'nobody wants it',
    'upstream-failed': 'an upstream failed or was cancelled',
  },
  succeeded: {},
  failed: { blocked: 'asked for again' },
  cancelled: { blocked: 'asked for again' },
  'upstream-failed': { blocked: 'asked for again' },
}

/** States that a run leaves only because somebody asks for it again. */
export const RUN_END_STATES = ['succeeded', 'failed', 'cancelled', 'upstream-failed'] as const satisfies readonly RunState[]

export function hasEnded(state: RunState): boolean {
  return (RUN_END_STATES as readonly RunState[]).includes(state)
}

export function canMove(from: RunState, to: RunState): boolean {
  return to in RUN_MOVES[from]
}

/** States that lead to `to`: the guard of a compare-and-set. */
export function statesBefore(to: RunState): readonly RunState[] {
  return RUN_STATES.filter((from) => canMove(from, to))
}

/** @throws IllegalTransitionError */
export function assertTransition(from: RunState, to: RunState): void {
  if (!canMove(from, to)) throw new IllegalTransitionError(from, to)
}
