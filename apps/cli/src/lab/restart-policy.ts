/** When a crashed process of the lab is started again, and when it is given up. Pure: the time is given. */

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 15_000
/** A process that lived this long was well: its crashes before do not count any more. */
const WELL_AFTER_MS = 60_000
const GIVE_UP_AFTER_CRASHES = 5

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'give-up'; readonly crashes: number }

export interface RestartPolicy {
  /** A crash after `livedMs` of life. */
  crashed(livedMs: number): RestartDecision
}

export function createRestartPolicy(): RestartPolicy {
  let crashes = 0
  return {
    crashed(livedMs) {
      crashes = livedMs >= WELL_AFTER_MS ? 1 : crashes + 1
      if (crashes >= GIVE_UP_AFTER_CRASHES) return { kind: 'give-up', crashes }
      return { kind: 'restart', delayMs: Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (crashes - 1)) }
    },
  }
}
