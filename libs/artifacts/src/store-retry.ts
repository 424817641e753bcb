/** Waiting for an object store that is away: work is tried again with growing pauses for as long as the store refuses it. */
import { setTimeout as delay } from 'node:timers/promises'
import { StoreAccessError } from './errors.ts'

export interface StoreRetry {
  /** First pause; each further one is twice as long. Default 1 s. */
  readonly firstMs?: number
  /** Longest pause. Default 30 s. */
  readonly maxMs?: number
  /** Default: no end. The attempt's supervisor has the last word on how long a run may wait. */
  readonly maxTries?: number
  /** Told of each refusal, with the number of tries so far. */
  readonly onRetry?: (error: StoreAccessError, tries: number) => void
}

/** Only StoreAccessError is waited out: a wrong key or damaged bytes stay wrong. `work` must be safe to repeat. */
export async function untilStored<T>(work: () => Promise<T>, retry: StoreRetry = {}): Promise<T> {
  const { firstMs = 1000, maxMs = 30_000, maxTries = Number.POSITIVE_INFINITY } = retry
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreAccessError) || tries >= maxTries) throw error
      retry.onRetry?.(error, tries)
      await delay(Math.min(maxMs, firstMs * 2 ** (tries - 1)))
    }
  }
}
