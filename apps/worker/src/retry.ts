import { setTimeout as delay } from 'node:timers/promises'

export interface RetryOptions {
  /** Ends the waiting at once; what `signal.reason` says is thrown. */
  readonly signal: AbortSignal
  /** Default: without end, until `signal` aborts. */
  readonly tries?: number
  /** Such an error would come again whatever is waited for: it is thrown at once. Default: none is. */
  readonly isFinal?: (error: unknown) => boolean
  /** First pause; it doubles up to 5 s. Default 250. */
  readonly firstDelayMs?: number
  readonly onError: (error: unknown, attempt: number) => void
}

const LONGEST_DELAY_MS = 5000

/**
 * What `promise` gives, or `signal.reason` thrown as soon as `signal` aborts: an answer may never come over a connection that was cut
 * without a word, and who waits for it then waits for the operating system's patience.
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
    // Whoever lost the race has nobody else who listens.
    promise.catch(() => {})
    aborted.catch(() => {})
  }
}

/** Does `work` again until it succeeds, the tries are used up (the last error is thrown) or `signal` aborts. */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, tries = Number.POSITIVE_INFINITY, firstDelayMs = 250, isFinal = () => false, onError } = options
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await orAborted(work(), signal)
    } catch (error) {
      signal.throwIfAborted()
      if (attempt >= tries || isFinal(error)) throw error
      onError(error, attempt)
    }
    // The delay rejects with an AbortError of its own; the reason is what the caller asked for.
    await delay(Math.min(firstDelayMs * 2 ** (attempt - 1), LONGEST_DELAY_MS), undefined, { signal }).catch(() => {})
  }
}
