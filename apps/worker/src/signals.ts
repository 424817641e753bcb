/** Shutdown in two stages: the first signal asks, the second one, or the end of the grace period, forces. */
import type { EventEmitter } from 'node:events'
import type { Logger } from '#libs/telemetry'

export interface Stoppable {
  /** Resolves when all attempts have ended and everything is closed. */
  stop(): Promise<void>
  /** Ends the children at once. */
  kill(): void
}

/** The part of `process` that is used. */
export interface SignalledProcess extends Pick<EventEmitter, 'on'> {
  exit(code: number): void
}

/**
 * Exit codes: 0 after an orderly stop, 1 after a forced or failed one. Gives a function that stops as the first signal does;
 * it does nothing where the worker stops already.
 */
export function stopOnSignals(worker: Stoppable, process: SignalledProcess, graceMs: number, logger: Logger): () => void {
  let stopping = false
  const force = (why: string) => {
    logger.warn(why)
    worker.kill()
    process.exit(1)
  }
  const stop = (signal: NodeJS.Signals | null) => {
    stopping = true
    logger.info({ signal, grace_ms: graceMs }, 'worker stops')
    const deadline = setTimeout(() => force('the grace period is over: children are killed'), graceMs)
    const leave = (code: number) => {
      clearTimeout(deadline)
      process.exit(code)
    }
    worker.stop().then(
      () => {
        logger.info('worker stopped')
        leave(0)
      },
      (error: unknown) => {
        logger.error({ err: error }, 'worker could not stop in order')
        worker.kill()
        leave(1)
      },
    )
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) return force('second signal: children are killed')
    stop(signal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return () => {
    if (!stopping) stop(null)
  }
}
