import { setTimeout as delay } from 'node:timers/promises'

export interface RetryOptions {
  /** Ends the waiting at once; what `signal.reason` says is thrown. */
  readonly signal: AbortSignal
  /** Default 20: with these pauses about a minute and a half, longer than a default lease. */
  readonly tries?: number
  /** First pause; it doubles up to 5 s. Default 250. */
  readonly firstDelayMs?: number
  readonly onError: (error: unknown, attempt: number) => void
}

const LONGEST_DELAY_MS = 5000

/** Does `work` again until it succeeds, the tries are used up (the last error is thrown) or `signal` aborts. */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, tries = 20, firstDelayMs = 250, onError } = options
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      if (attempt >= tries) throw error
      onError(error, attempt)
    }
    // The delay rejects with an AbortError of its own; the reason is what the caller asked for.
    await delay(Math.min(firstDelayMs * 2 ** (attempt - 1), LONGEST_DELAY_MS), undefined, { signal }).catch(() => {})
  }
}
