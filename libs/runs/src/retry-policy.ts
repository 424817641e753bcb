/** What becomes of a run when an attempt ends: each ending has a budget of its own (design section 3). Pure. */
import { backoffMs } from '#libs/scheduling'
import { failureWords } from './endings.ts'
import type { AttemptEnding, Desired } from './states.ts'

export type RetryBudgets = Readonly<Record<AttemptEnding, number>>

/** Retries that each ending allows. */
export const RETRY_BUDGETS: RetryBudgets = {
  succeeded: 0,
  'spec-error': 0,
  'out-of-memory': 1,
  'non-finite': 0,
  crashed: 3,
  preempted: Number.POSITIVE_INFINITY,
  lost: 5,
  paused: Number.POSITIVE_INFINITY,
  cancelled: Number.POSITIVE_INFINITY,
}

/** A run that this many workers were lost over is poison: the next worker would be lost too. */
export const POISON_WORKERS = 3

export interface RetryPolicy {
  readonly budgets: RetryBudgets
  readonly poisonWorkers: number
}
export const RETRY_POLICY: RetryPolicy = { budgets: RETRY_BUDGETS, poisonWorkers: POISON_WORKERS }

const BACKOFF_BASE_MS = 1000
const BACKOFF_CAP_MS = 60_000

export type NextState =
  | { readonly state: 'succeeded' | 'paused' | 'cancelled' }
  | {
      readonly state: 'queued'
      readonly notBeforeMs: number
      /** The next attempt must do with less memory at once. */
      readonly halveMicroBatch: boolean
    }
  | { readonly state: 'failed'; readonly message: string }

export interface EndedAttempt {
  readonly ending: AttemptEnding
  readonly message: string | null
  /** How often the run ended this way since its budgets began, this time included. */
  readonly times: number
  /** Distinct workers that were lost while they computed the run, since its budgets began, this time included. */
  readonly workersLost: number
  /** What the worker was asked to do when the attempt ended: a wish survives the loss of the worker. */
  readonly desired: Desired
}

/** Where the run goes. The same facts give the same state. */
export function nextState(ended: EndedAttempt, policy: RetryPolicy = RETRY_POLICY): NextState {
  const { ending, message, times, workersLost, desired } = ended
  // Finished work counts, whatever somebody asked for meanwhile.
  if (ending === 'succeeded') return { state: 'succeeded' }
  if (desired === 'cancel') return { state: 'cancelled' }
  if (ending === 'lost' && workersLost >= policy.poisonWorkers) {
    return { state: 'failed', message: failureWords({ ending: 'poison', message, times: workersLost }) }
  }
  if (times > policy.budgets[ending]) return { state: 'failed', message: failureWords({ ending, message, times }) }
  if (desired === 'pause') return { state: 'paused' }
  return { state: 'queued', notBeforeMs: waitMs(ending, times), halveMicroBatch: ending === 'out-of-memory' }
}

/** Stopped on request, its own or a withdrawn one: it did nothing wrong and goes on as soon as there is room. */
const BLAMELESS: readonly AttemptEnding[] = ['preempted', 'paused', 'cancelled']

function waitMs(ending: AttemptEnding, times: number): number {
  return BLAMELESS.includes(ending) ? 0 : backoffMs(times, BACKOFF_BASE_MS, BACKOFF_CAP_MS)
}

/** Half of what did not fit, rounded up; null where it cannot be halved: one image at a time already. */
export function halvedMicroBatch(imagesAtOnce: number): number | null {
  return imagesAtOnce > 1 ? Math.ceil(imagesAtOnce / 2) : null
}
