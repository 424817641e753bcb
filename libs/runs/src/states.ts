/** States of runs and attempts, and how attempts end. Transitions: transitions.ts. */

export const RUN_STATES = [
  'blocked',
  'queued',
  'running',
  'succeeded',
  'failed',
  'paused',
  'cancelled',
  'upstream-failed',
] as const
export type RunState = (typeof RUN_STATES)[number]

/** `waiting`: made with the run's move to queued, so that the queue can carry its id; it has no worker yet. */
export const ATTEMPT_STATES = ['waiting', 'leased', 'running', 'ended'] as const
export type AttemptState = (typeof ATTEMPT_STATES)[number]

export const OPEN_ATTEMPT_STATES = ['waiting', 'leased', 'running'] as const satisfies readonly AttemptState[]
export type OpenAttemptState = (typeof OPEN_ATTEMPT_STATES)[number]

export const ATTEMPT_ENDINGS = [
  'succeeded',
  'spec-error',
  'out-of-memory',
  'non-finite',
  'crashed',
  'preempted',
  'lost',
  'paused',
  'cancelled',
] as const
export type AttemptEnding = (typeof ATTEMPT_ENDINGS)[number]

/** What the worker of a running run is asked to do. A wish lives until the attempt ends or somebody withdraws it. */
export const DESIRES = ['run', 'preempt', 'pause', 'cancel'] as const
export type Desired = (typeof DESIRES)[number]
