/**
 * The guards of the run graph's moves: pure, and the one place that says them. The store puts the lists into its statements;
 * the model (model/) explores what they allow.
 */
import type { AttemptState, Desired, RunState } from './states.ts'
import { statesBefore } from './transitions.ts'

/** An attempt in one of these has a worker with a lease. */
export const HELD_STATES = ['leased', 'running'] as const satisfies readonly AttemptState[]

/** An attempt as its row has it. */
export interface HeldAttempt<Id> {
  readonly id: Id
  readonly state: AttemptState
  readonly token: number | null
}

/** Whether a word that names attempt and token may change anything: that attempt is held, and under this very token. */
export function isHeld<Id>(attempt: HeldAttempt<Id>, word: { readonly id: Id; readonly token: number }): boolean {
  return (
    attempt.id === word.id && (HELD_STATES as readonly AttemptState[]).includes(attempt.state) && attempt.token === word.token
  )
}

/** Whether a worker may take it: a second message for the same attempt finds it taken. */
export function canLease(run: RunState, attempt: AttemptState): boolean {
  return statesBefore('running').includes(run) && attempt === 'waiting'
}

/** Whether a blocked run may be queued. */
export function isReady(upstreams: readonly RunState[]): boolean {
  return upstreams.every((state) => state === 'succeeded')
}

/** States that end as upstream-failed when a run above ends without success. */
export const FAILS_WITH_UPSTREAM: readonly RunState[] = statesBefore('upstream-failed')

/** States in which a run obeys a cancellation or a pause without a worker. */
export const idleStatesBefore = (to: 'cancelled' | 'paused'): readonly RunState[] =>
  statesBefore(to).filter((state) => state !== 'running')

/** A cancellation is not weakened to a pause or a preemption, nor a pause to a preemption. `run` withdraws any wish. */
export const WISHES_REPLACED_BY: Readonly<Record<Desired, readonly Desired[]>> = {
  run: ['preempt', 'pause', 'cancel'],
  preempt: ['run'],
  pause: ['run', 'preempt'],
  cancel: ['run', 'preempt', 'pause'],
}

export interface RetryCandidate {
  readonly id: string
  readonly state: RunState
  /** Among what is to be tried again; the others are there for their states. */
  readonly inScope: boolean
  readonly upstream: readonly string[]
}

/** Ended without success: what a retry is for. */
export const UNSUCCESSFUL_STATES = ['failed', 'cancelled', 'upstream-failed'] as const satisfies readonly RunState[]

/**
 * Of the runs in scope those that become blocked again: no upstream of theirs stays ended without success. Of these, `ready` can
 * be queued at once. `candidates` come upstream first.
 */
export function planRetry(candidates: readonly RetryCandidate[]): { restored: readonly string[]; ready: readonly string[] } {
  const states = new Map(candidates.map(({ id, state }) => [id, state]))
  const isOver = (id: string) => (UNSUCCESSFUL_STATES as readonly (RunState | undefined)[]).includes(states.get(id))
  const restored: string[] = []
  const ready: string[] = []
  for (const { id, inScope, upstream } of candidates) {
    if (!inScope || !isOver(id) || upstream.some(isOver)) continue
    states.set(id, 'blocked')
    restored.push(id)
    if (isReady(upstream.map((above) => states.get(above) ?? 'blocked'))) ready.push(id)
  }
  return { restored, ready }
}
