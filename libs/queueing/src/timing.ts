/** Clocks of the queue. They must be alike on every worker: Redis' stalled check obeys the longest interval among them. */
export interface QueueTiming {
  /** How long a job stays with a worker that has stopped renewing its lock. Renewed at half of it. */
  readonly lockMs: number
  /** How often workers look for jobs whose lock ran out. A killed worker's job is taken over after `lockMs + stalledMs` at most. */
  readonly stalledMs: number
  /** How long one attempt to connect may take, at the start. */
  readonly connectMs: number
}

export const QUEUE_TIMING: QueueTiming = { lockMs: 30_000, stalledMs: 15_000, connectMs: 5_000 }
