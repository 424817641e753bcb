/** Ends a child by steps: a message, then SIGTERM, then SIGKILL. Each step is skipped where the process is gone by then. */
import type { AttemptChild } from './attempt-child.ts'

export interface StopDeadlines {
  /** From the message to SIGTERM. */
  readonly terminateAfterMs: number
  /** From the message to SIGKILL. */
  readonly killAfterMs: number
}

/** Nobody wants the work of a cancelled run: time to leave cleanly, not to finish. It is gone within 5 s, however busy it is. */
export const CANCEL_DEADLINES: StopDeadlines = { terminateAfterMs: 2000, killAfterMs: 4000 }

/** Most of the grace period is for the checkpoint; the last fifth is left to write the attempt's end and to close. */
export function graceDeadlines(graceMs: number): StopDeadlines {
  return { terminateAfterMs: 0.7 * graceMs, killAfterMs: 0.8 * graceMs }
}

/** Asks and then forces the child to end. A second call replaces the deadlines of the first. Gives a function that ends the climb. */
export function climb(child: Pick<AttemptChild, 'send' | 'kill'>, deadlines: StopDeadlines): () => void {
  child.send({ type: 'checkpoint-and-stop' })
  const timers = [
    setTimeout(() => child.kill('SIGTERM'), deadlines.terminateAfterMs),
    setTimeout(() => child.kill('SIGKILL'), deadlines.killAfterMs),
  ]
  return () => {
    for (const timer of timers) clearTimeout(timer)
  }
}
