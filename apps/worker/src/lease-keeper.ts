/**
 * Keeps the lease of one attempt. Two clocks run: heartbeats, and the lease itself, counted on the monotonic clock from the moment
 * at which the last request that the database confirmed was *sent*: the database began its own count later. Where it cannot be asked
 * for so long, somebody else may own the run soon, so the lease counts as lost without an answer, and a little before its end, so
 * that the child is gone by then. The clock runs on while this process stands still: a frozen supervisor finds the lease lost when
 * it wakes.
 */
import type { Desired } from '#libs/runs'

export interface LeaseKeeperOptions {
  readonly beat: () => Promise<{ readonly held: boolean; readonly desired: Desired }>
  readonly everyMs: number
  readonly leaseMs: number
  /** When the lease was asked for, in milliseconds of `performance.now()`: before the question was sent. */
  readonly leasedAtMs: number
  /** Called once; after it nothing else is called. */
  readonly onLost: (why: 'taken' | 'expired') => void
  /** At every heartbeat that finds something else than `run`. */
  readonly onDesired: (desired: Exclude<Desired, 'run'>) => void
  readonly onError: (error: unknown) => void
}

export interface LeaseKeeper {
  /** A heartbeat out of turn: somebody may have asked for something. */
  beatNow(): void
  stop(): void
}

/** A heartbeat that never answers must not keep the next one from being sent, on another connection. */
const BEATS_IN_FLIGHT = 2
const LARGEST_MARGIN_MS = 5000

/** So long before its end the lease counts as lost: killing takes a moment, and clocks drift. A tenth, 5 s at most. */
export function leaseMarginMs(leaseMs: number): number {
  return Math.min(leaseMs / 10, LARGEST_MARGIN_MS)
}

export function keepLease(options: LeaseKeeperOptions): LeaseKeeper {
  const heldForMs = options.leaseMs - leaseMarginMs(options.leaseMs)
  let stopped = false
  let inFlight = 0
  let confirmedMs = Number.NEGATIVE_INFINITY
  let expiry: NodeJS.Timeout

  const stop = () => {
    stopped = true
    clearInterval(beats)
    clearTimeout(expiry)
  }
  const lose = (why: 'taken' | 'expired') => {
    if (stopped) return
    stop()
    options.onLost(why)
  }
  const confirm = (sentAtMs: number) => {
    // Answers may overtake each other: the latest question counts.
    if (sentAtMs < confirmedMs) return
    confirmedMs = sentAtMs
    clearTimeout(expiry)
    expiry = setTimeout(() => lose('expired'), Math.max(0, sentAtMs + heldForMs - performance.now()))
  }
  const beat = async () => {
    if (stopped || inFlight >= BEATS_IN_FLIGHT) return
    inFlight++
    const sentAtMs = performance.now()
    try {
      const { held, desired } = await options.beat()
      if (stopped) return
      if (!held) return lose('taken')
      confirm(sentAtMs)
      if (desired !== 'run') options.onDesired(desired)
    } catch (error) {
      if (!stopped) options.onError(error)
    } finally {
      inFlight--
    }
  }

  const beats = setInterval(beat, options.everyMs)
  confirm(options.leasedAtMs)
  return { beatNow: () => void beat(), stop }
}
