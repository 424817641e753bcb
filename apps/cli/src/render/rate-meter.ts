/** Speed of running work out of its progress, smoothed so that it can be read. Pure: the time is given. */

/** Weight of the newest measurement. */
const NEWEST = 0.3

export interface RateMeter {
  /** Units a second at `now` (milliseconds) with `done` units done; undefined until two measurements differ. */
  measure(key: string, done: number, now: number): number | undefined
}

interface Measurement {
  readonly done: number
  readonly at: number
  readonly perSecond: number | undefined
}

export function createRateMeter(): RateMeter {
  const last = new Map<string, Measurement>()
  return {
    measure(key, done, now) {
      const before = last.get(key)
      if (before === undefined || done < before.done) {
        // A new attempt starts where its checkpoint left off, which is no speed.
        last.set(key, { done, at: now, perSecond: undefined })
        return undefined
      }
      if (done === before.done || now <= before.at) return before.perSecond
      const newest = (done - before.done) / ((now - before.at) / 1000)
      const perSecond = before.perSecond === undefined ? newest : NEWEST * newest + (1 - NEWEST) * before.perSecond
      last.set(key, { done, at: now, perSecond })
      return perSecond
    },
  }
}
