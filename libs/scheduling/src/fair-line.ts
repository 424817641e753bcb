/**
 * The order in which waiting attempts of one class are given to workers: priority first, and within a priority whoever used the
 * least device time, counting what stands before them in the line as used. Pure.
 *
 * This is fair queueing by virtual time: an owner's virtual time is the decayed device time used so far plus the expected time of
 * its attempts already placed; the next place goes to the owner whose virtual time is lowest.
 */

export interface WaitingAttempt {
  readonly attemptId: string
  readonly owner: string
  /** Empty: no grid, and no limit of one. */
  readonly gridId: string
  /** -100..100, higher first. */
  readonly priority: number
  /** Order within its owner's line, lower first; ties go to who came first in the list given. */
  readonly place: number
  /** Device-seconds that it is expected to take. */
  readonly costSeconds: number
  /** It is in the queue already: it keeps a place, though a limit may be reached. */
  readonly offered: boolean
}

export const HOLD_REASONS = ['line', 'user-limit', 'grid-limit'] as const
/** Why an attempt is not given to the queue yet. */
export type HoldReason = (typeof HOLD_REASONS)[number]

export interface ShareLimits {
  /** Attempts that one owner, and one grid, may have in the queue and at work together. */
  readonly perUser: number
  readonly perGrid: number
}

export interface LineOptions {
  readonly limits: ShareLimits
  /** Places to give: the rest waits outside of the queue. */
  readonly window: number
  /** Decayed device-seconds by owner. */
  readonly usage: ReadonlyMap<string, number>
  /** Attempts at work, by owner and by grid, on any class. */
  readonly activeByOwner: ReadonlyMap<string, number>
  readonly activeByGrid: ReadonlyMap<string, number>
}

export interface FairLine {
  /** Best first. */
  readonly line: readonly WaitingAttempt[]
  readonly held: readonly { readonly attemptId: string; readonly hold: HoldReason }[]
}

export function fairLine(waiting: readonly WaitingAttempt[], options: LineOptions): FairLine {
  const admission = new Admission(waiting, options)
  const virtual = new Map(options.usage)
  const queues = ownersLines(waiting)
  const line: WaitingAttempt[] = []
  const held: { attemptId: string; hold: HoldReason }[] = []
  while (line.length < options.window) {
    const owner = nextOwner(queues, virtual)
    if (owner === undefined) break
    const attempt = queues.get(owner)!.shift()!
    const hold = admission.refuses(attempt)
    if (hold) {
      held.push({ attemptId: attempt.attemptId, hold })
      continue
    }
    admission.admit(attempt)
    virtual.set(owner, (virtual.get(owner) ?? 0) + attempt.costSeconds)
    line.push(attempt)
  }
  for (const rest of queues.values())
    for (const attempt of rest) {
      if (attempt.offered) line.push(attempt)
      else held.push({ attemptId: attempt.attemptId, hold: admission.refuses(attempt) ?? 'line' })
    }
  return { line, held }
}

/** Each owner's attempts, best first: by priority, then place. */
function ownersLines(waiting: readonly WaitingAttempt[]): Map<string, WaitingAttempt[]> {
  const lines = new Map<string, WaitingAttempt[]>()
  for (const attempt of waiting) {
    const line = lines.get(attempt.owner)
    if (line) line.push(attempt)
    else lines.set(attempt.owner, [attempt])
  }
  for (const line of lines.values()) line.sort((a, b) => b.priority - a.priority || a.place - b.place)
  return lines
}

function nextOwner(lines: ReadonlyMap<string, readonly WaitingAttempt[]>, virtual: ReadonlyMap<string, number>) {
  let best: { owner: string; priority: number; used: number } | undefined
  for (const [owner, [head]] of lines) {
    if (head === undefined) continue
    const used = virtual.get(owner) ?? 0
    const isBetter = !best || head.priority > best.priority || (head.priority === best.priority && used < best.used)
    if (isBetter) best = { owner, priority: head.priority, used }
  }
  return best?.owner
}

/** Counts what is at work and in the queue against the limits. */
class Admission {
  readonly #limits: ShareLimits
  readonly #owners: Map<string, number>
  readonly #grids: Map<string, number>

  constructor(waiting: readonly WaitingAttempt[], { limits, activeByOwner, activeByGrid }: LineOptions) {
    this.#limits = limits
    this.#owners = new Map(activeByOwner)
    this.#grids = new Map(activeByGrid)
    for (const attempt of waiting) if (attempt.offered) this.#count(attempt)
  }

  refuses({ owner, gridId, offered }: WaitingAttempt): HoldReason | undefined {
    if (offered) return undefined
    if ((this.#owners.get(owner) ?? 0) >= this.#limits.perUser) return 'user-limit'
    if (gridId !== '' && (this.#grids.get(gridId) ?? 0) >= this.#limits.perGrid) return 'grid-limit'
    return undefined
  }

  admit(attempt: WaitingAttempt): void {
    if (!attempt.offered) this.#count(attempt)
  }

  #count({ owner, gridId }: WaitingAttempt): void {
    this.#owners.set(owner, (this.#owners.get(owner) ?? 0) + 1)
    if (gridId !== '') this.#grids.set(gridId, (this.#grids.get(gridId) ?? 0) + 1)
  }
}
