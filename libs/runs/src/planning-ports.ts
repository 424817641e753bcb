/** Port of the scheduler's planning: who waits, who works, what was used and measured; and what was decided. */

import type { RunId, RunKind } from '#libs/experiments'
import type { HoldReason, RunningAttempt, UrgentAttempt, UsageBucket } from '#libs/scheduling'

/** An attempt that may be given to a worker now. */
export interface WaitingRow {
  readonly attemptId: string
  readonly resourceClass: string
  readonly kind: RunKind
  readonly owner: string
  /** Empty: no grid. */
  readonly gridId: string
  /** -100..100. */
  readonly priority: number
  /** The number that the queue was told; null: it has not got it. */
  readonly offeredPriority: number | null
}

export interface ActiveCounts {
  readonly byOwner: ReadonlyMap<string, number>
  readonly byGrid: ReadonlyMap<string, number>
}

/** Median seconds of an attempt that succeeded lately, by class and kind. */
export interface MeasuredCost {
  readonly resourceClass: string
  readonly kind: RunKind
  readonly seconds: number
}

export interface Crowded {
  readonly resourceClass: string
  /** Places of live workers that nobody uses. */
  readonly freeSlots: number
  /** In the queue and not taken. */
  readonly urgent: readonly UrgentAttempt[]
  readonly running: readonly RunningAttempt[]
}

export interface PlanningStore {
  /**
   * The heads of the lines of each class, owner and grid, `perLine` of each, and everything that the queue has; in the order of
   * priority, kind and age.
   */
  waitingLine(perLine: number): Promise<readonly WaitingRow[]>
  /** Attempts at work. */
  active(): Promise<ActiveCounts>
  /** Device time used by attempts that ended within `withinSeconds`, or are at work: summed up by hour. */
  usage(withinSeconds: number): Promise<readonly UsageBucket[]>
  costs(): Promise<readonly MeasuredCost[]>
  /**
   * The queue has these, under these numbers: they leave the outbox. `held` wait for the given reason, and all others that are due
   * for their place in the line.
   */
  offered(
    numbers: readonly { readonly attemptId: string; readonly number: number }[],
    held: readonly { readonly attemptId: string; readonly hold: HoldReason }[],
  ): Promise<void>
  /** Classes where something of a higher priority than something at work waits in the queue. */
  crowded(): Promise<readonly Crowded[]>
  /** Asks the workers of these runs to make room; gives how many were asked. */
  preempt(runIds: readonly RunId[]): Promise<number>
}
