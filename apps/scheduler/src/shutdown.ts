/** Two stages: the first signal lets the job in hand end, within a deadline; a second signal, or the deadline, ends the process. */
import type { EventEmitter } from 'node:events'

export interface Shutdown {
  /** Where SIGTERM and SIGINT are heard: `process`. */
  readonly signals: Pick<EventEmitter, 'on'>
  readonly deadlineMs: number
  /** Called with one line that says why, where the process must not wait any longer. */
  readonly giveUp: (reason: string) => void
}

/** Gives the signal that aborts at the first SIGTERM or SIGINT. */
export function onShutdown({ signals, deadlineMs, giveUp }: Shutdown): AbortSignal {
  const stop = new AbortController()
  const heard = () => {
    if (stop.signal.aborted) {
      giveUp('a second signal came before it had stopped')
      return
    }
    stop.abort()
    // Unreferenced: a process that has nothing left to do ends before.
    setTimeout(() => giveUp(`it did not stop within ${deadlineMs} ms`), deadlineMs).unref()
  }
  signals.on('SIGTERM', heard)
  signals.on('SIGINT', heard)
  return stop.signal
}
