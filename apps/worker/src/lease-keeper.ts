/**
 * Keeps the lease of one attempt. Two clocks run: heartbeats, and the lease itself, counted from the last heartbeat that was
 * *sent* and then confirmed. Where the database cannot be asked for a whole lease, somebody else may own the run by now, so the
 * lease counts as lost without an answer.
 */
import type { Desired } from '#libs/runs'

export interface LeaseKeeperOptions {
  readonly beat: () => Promise<{ readonly held: boolean; readonly desired: Desired }>
  readonly everyMs: number
  readonly leaseMs: number
  /** Called once; after it nothing else is called. */
  readonly onLost: (why: 'taken' | 'expired') => void
  /** At every heartbeat that finds something else than `run`. */
  readonly onDesired: (desired: Exclude<Desired, 'run'>) => void
  readonly onError: (error: unknown) => void
}

export interface LeaseKeeper {
  stop(): void
}

export function keepLease(options: LeaseKeeperOptions): LeaseKeeper {
  let stopped = false
  let nextBeat: NodeJS.Timeout
  let expiry: NodeJS.Timeout

  const stop = () => {
    stopped = true
    clearTimeout(nextBeat)
    clearTimeout(expiry)
  }
  const lose = (why: 'taken' | 'expired') => {
    if (stopped) return
    stop()
    options.onLost(why)
  }
  const expireFrom = (sentAtMs: number) => {
    clearTimeout(expiry)
    expiry = setTimeout(() => lose('expired'), Math.max(0, sentAtMs + options.leaseMs - performance.now()))
  }
  const schedule = () => {
    nextBeat = setTimeout(beat, options.everyMs)
  }
  const beat = async () => {
    const sentAtMs = performance.now()
    try {
      const { held, desired } = await options.beat()
      if (stopped) return
      if (!held) return lose('taken')
      expireFrom(sentAtMs)
      if (desired !== 'run') options.onDesired(desired)
    } catch (error) {
      if (!stopped) options.onError(error)
    }
    if (!stopped) schedule()
  }

  expireFrom(performance.now())
  schedule()
  return { stop }
}
