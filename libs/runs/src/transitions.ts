/** The moves of a run from state to state; libs/runs/README.md draws them. */
import { IllegalTransitionError } from './errors.ts'
import { RUN_STATES, type RunState } from './states.ts'

export const RUN_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  blocked: ['queued', 'cancelled', 'upstream-failed'],
  queued: ['running', 'cancelled'],
  running: ['queued', 'succeeded', 'failed', 'paused', 'cancelled'],
  paused: ['queued', 'cancelled'],
  succeeded: [],
  failed: ['blocked', 'queued'],
  cancelled: ['blocked', 'queued'],
  'upstream-failed': ['blocked', 'queued'],
}

/** States that a run leaves only because somebody asks for it again. */
export const RUN_END_STATES = ['succeeded', 'failed', 'cancelled', 'upstream-failed'] as const satisfies readonly RunState[]

export function hasEnded(state: RunState): boolean {
  return (RUN_END_STATES as readonly RunState[]).includes(state)
}

export function canMove(from: RunState, to: RunState): boolean {
  return RUN_TRANSITIONS[from].includes(to)
}

/** States that lead to `to`: the guard of a compare-and-set. */
export function statesBefore(to: RunState): readonly RunState[] {
  return RUN_STATES.filter((from) => canMove(from, to))
}

/** @throws IllegalTransitionError */
export function assertTransition(from: RunState, to: RunState): void {
  if (!canMove(from, to)) throw new IllegalTransitionError(from, to)
}
