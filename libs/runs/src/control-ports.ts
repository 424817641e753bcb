/** Port of what people do to runs and grids: pause, resume, cancel, retry, set priority; for one run, a grid, or a selection. */
import type { RunId, RunKind } from '#libs/experiments'
import type { RunState } from './states.ts'

/** All conditions hold; without any it is every run. */
export interface RunFilter {
  readonly gridId?: string
  readonly kind?: RunKind
  readonly state?: RunState
  readonly runIds?: readonly RunId[]
}

/**
 * `gridId` is the grid itself: it is cancelled, paused or given a priority as a whole, and runs that another live grid wants are
 * left alone. A run, or a selection of runs, is meant as such.
 */
export type RunSelector = { readonly runId: RunId } | { readonly gridId: string } | { readonly filter: RunFilter }

export const CONTROL_ACTIONS = ['pause', 'resume', 'cancel', 'retry', 'priority'] as const
export type ControlAction = (typeof CONTROL_ACTIONS)[number]

/** Why a run was left as it is. */
export const REFUSAL_REASONS = ['wrong-state', 'wanted-by-another-grid', 'upstream-not-retried'] as const
export type RefusalReason = (typeof REFUSAL_REASONS)[number]

export interface ControlRefusal {
  readonly runId: RunId
  readonly state: RunState
  readonly reason: RefusalReason
}

export interface ControlOutcome {
  /** Runs that the selector fits. 0 for an unknown run or grid. */
  readonly matched: number
  /** Runs that changed at once; upstreams and dependents that moved with them are not counted. */
  readonly changed: number
  /** Running runs whose worker was asked; they change within a heartbeat. */
  readonly asked: number
  readonly refused: number
  /** The first 100 refusals, in the order of run ids. */
  readonly refusals: readonly ControlRefusal[]
}

export interface RunControl {
  /** Stops with a checkpoint and frees the device; what did not run yet is held. A pause wish survives a crash of the worker. */
  pause(selector: RunSelector): Promise<ControlOutcome>
  /** paused -> queued or blocked; a pause that a worker was only asked for is withdrawn. */
  resume(selector: RunSelector): Promise<ControlOutcome>
  /** Never cancels what another live grid wants. What waits below a cancelled run ends as upstream-failed. */
  cancel(selector: RunSelector): Promise<ControlOutcome>
  /** Runs that ended without success, with those above them that did so too; their budgets begin anew. */
  retry(selector: RunSelector): Promise<ControlOutcome>
  /**
   * -100..100, higher first. Moves attempts that are queued already. What a raised run waits for is raised with it. A grid's
   * priority counts for its runs only as far as no other live grid asks for more.
   */
  setPriority(selector: RunSelector, priority: number): Promise<ControlOutcome>
}
