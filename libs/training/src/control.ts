/** What a loop may ask of its surroundings while it runs. */

/** Monotonic milliseconds; the process gives performance.now. */
export type MonotonicMs = () => number

export interface LoopControl {
  /** True once the supervisor asked for checkpoint-and-stop. */
  stopRequested(): boolean
  readonly now: MonotonicMs
}

/**
 * Lets queued messages and timers of the process in. Both runtimes compute synchronously, so without this a stop request
 * would wait for the end of the run.
 */
export const letEventsIn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
