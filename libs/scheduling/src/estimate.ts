/**
 * When a waiting run should start: the line is played through on the workers that are there, many times over, with durations
 * drawn from those that were measured. The draws are a fixed low-discrepancy sequence, so the same facts give the same answer. Pure.
 */

/** Seconds. */
export interface Estimate {
  readonly p50: number
  readonly p90: number
}

/** Measured durations of like runs, in seconds, rising. Not empty. */
export type Durations = readonly number[]

export interface LineFacts {
  /** Attempts that the workers of the class take at once, all together. */
  readonly slots: number
  /** Of attempts at work: seconds that they still need, drawn anew each time. */
  readonly running: readonly Durations[]
  /** Of attempts ahead in the line, in order. */
  readonly ahead: readonly Durations[]
  /** Seconds until it may be given to a worker at all: a back-off, or the end of an upstream. */
  readonly notBefore: Durations
}

const REPLICAS = 50
/** Longer lines are played in bundles of attempts: their sum is what matters. */
const MAX_PLAYED = 500
const GOLDEN = 0.618_033_988_749_894_9

/** Undefined where no worker would ever take it. */
export function estimateStart(facts: LineFacts): Estimate | undefined {
  if (facts.slots < 1) return undefined
  const starts = Array.from({ length: REPLICAS }, (_, replica) => play(facts, replica))
  return quantiles(starts)
}

/** Of a sum of independent durations. */
export function estimateSum(parts: readonly Durations[]): Estimate {
  return quantiles(Array.from({ length: REPLICAS }, (_, replica) => sumOf(parts, replica)))
}

function play({ slots, running, ahead, notBefore }: LineFacts, replica: number): number {
  const free = Array<number>(slots).fill(0)
  const take = (seconds: number) => {
    let first = 0
    for (let i = 1; i < free.length; i++) if (free[i]! < free[first]!) first = i
    const start = free[first]!
    free[first] = start + seconds
    return start
  }
  for (const [i, durations] of running.entries()) take(draw(durations, replica, i))
  const bundle = Math.max(1, Math.ceil(ahead.length / MAX_PLAYED))
  for (let at = 0; at < ahead.length; at += bundle) {
    let seconds = 0
    for (let i = at; i < Math.min(ahead.length, at + bundle); i++) seconds += draw(ahead[i]!, replica, running.length + i)
    take(seconds)
  }
  return Math.max(take(0), draw(notBefore, replica, -1))
}

function sumOf(parts: readonly Durations[], replica: number): number {
  return parts.reduce((sum, durations, i) => sum + draw(durations, replica, i), 0)
}

/** The i-th quantity of a replica: its quantile, moved on by the golden ratio from one quantity to the next. */
function draw(durations: Durations, replica: number, i: number): number {
  const u = ((replica + 0.5) / REPLICAS + (i + 1) * GOLDEN) % 1
  return quantile(durations, u)
}

/** Linear between the two nearest. */
export function quantile(sorted: Durations, share: number): number {
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)] ?? 0
  const above = sorted[Math.ceil(at)] ?? below
  return below + (above - below) * (at - Math.floor(at))
}

function quantiles(values: readonly number[]): Estimate {
  const sorted = values.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9) }
}

/**
 * Seconds that a run still needs which has done a share of its work in `elapsed` seconds: in proportion, and never less than what
 * like runs needed minus what went by where the share is too small to tell.
 */
export function remaining(elapsedSeconds: number, share: number | null, like: Durations): Durations {
  if (share !== null && share >= 0.02) return [Math.max(0, (elapsedSeconds * (1 - share)) / share)]
  return like.map((seconds) => Math.max(0, seconds - elapsedSeconds))
}
