/** What becomes of a run when an attempt ends: each ending has a budget of its own (design section 3). */
import { backoffMs } from '#libs/scheduling'
import type { AttemptEnding } from './states.ts'

/** Retries that each ending allows. */
export const RETRY_BUDGETS: Readonly<Record<AttemptEnding, number>> = {
  succeeded: 0,
  'spec-error': 0,
  'out-of-memory': 1,
  'non-finite': 0,
  crashed: 3,
  preempted: Number.POSITIVE_INFINITY,
  lost: 5,
  paused: 0,
  cancelled: 0,
}

/** A run that this many workers were lost over is poison: the next worker would be lost too. */
export const POISON_WORKERS = 3

const BACKOFF_BASE_MS = 1000
const BACKOFF_CAP_MS = 60_000

export type NextState =
  | { readonly state: 'succeeded' | 'paused' | 'cancelled' }
  | { readonly state: 'queued'; readonly notBeforeMs: number }
  | { readonly state: 'failed'; readonly message: string }

export interface EndedAttempt {
  readonly ending: AttemptEnding
  readonly message: string | null
  /** How often the run ended this way since its budgets began, this time included. */
  readonly times: number
  /** Distinct workers that were lost while they computed the run, since its budgets began, this time included. */
  readonly workersLost: number
  /** Somebody asked to cancel the run meanwhile. */
  readonly cancelWanted: boolean
}

/** Where the run goes. Pure: the same facts give the same state. */
export function nextState({ ending, message, times, workersLost, cancelWanted }: EndedAttempt): NextState {
  switch (ending) {
    case 'succeeded':
    case 'paused':
    case 'cancelled':
      return { state: ending }
    default:
      if (cancelWanted) return { state: 'cancelled' }
      if (ending === 'lost' && workersLost >= POISON_WORKERS) {
        return { state: 'failed', message: `poison: ${workersLost} workers were lost while they computed it` }
      }
      return times > RETRY_BUDGETS[ending] ? { state: 'failed', message: failure(ending, message, times) } : retry(ending, times)
  }
}

function retry(ending: AttemptEnding, times: number): NextState {
  // A preempted attempt did nothing wrong: it goes on as soon as there is room.
  return { state: 'queued', notBeforeMs: ending === 'preempted' ? 0 : backoffMs(times, BACKOFF_BASE_MS, BACKOFF_CAP_MS) }
}

function failure(ending: AttemptEnding, message: string | null, times: number): string {
  const words = message ?? `ended as ${ending}`
  return RETRY_BUDGETS[ending] > 0 ? `${ending} ${times} times, the last time: ${words}` : words
}
