/** When runs should start and end, from what like runs took. Pure: the store gathers the facts. */

import type { RunKind } from '#libs/experiments'
import { type Durations, type Estimate, estimateStart, estimateSum, remaining } from '#libs/scheduling'

/** What makes runs alike: kind, method or mode, backbone, class of machines. */
export interface Alike {
  readonly shape: string
  readonly kind: RunKind
}

export interface MeasuredRun extends Alike {
  readonly seconds: number
}

export interface RunAtWork extends Alike {
  readonly elapsedSeconds: number
  /** Share done, 0..1; null where unknown. */
  readonly share: number | null
}

/** What stands between a waiting attempt and a worker of its class. */
export interface QueueFacts {
  /** Places of live workers of the class. */
  readonly slots: number
  readonly running: readonly RunAtWork[]
  readonly ahead: readonly (Alike & { readonly count: number })[]
  readonly backoffSeconds: number
}

/** Durations that were measured, by likeness. */
export class MeasuredRuns {
  readonly #byShape = new Map<string, number[]>()
  readonly #byKind = new Map<RunKind, number[]>()

  constructor(runs: readonly MeasuredRun[]) {
    for (const { shape, kind, seconds } of runs) {
      append(this.#byShape, shape, seconds)
      append(this.#byKind, kind, seconds)
    }
    for (const durations of [...this.#byShape.values(), ...this.#byKind.values()]) durations.sort((a, b) => a - b)
  }

  /** Of runs alike, else of the kind; undefined where nothing of the kind was ever measured. */
  of({ shape, kind }: Alike): Durations | undefined {
    return this.#byShape.get(shape) ?? this.#byKind.get(kind)
  }

  /** Seconds that a run at work still needs. */
  left(run: RunAtWork): Durations | undefined {
    return run.share === null && !this.of(run) ? undefined : remaining(run.elapsedSeconds, run.share, this.of(run) ?? [0])
  }
}

function append<K>(lists: Map<K, number[]>, key: K, value: number): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

/** Null where no worker is there, or where something in the way was never measured. */
export function queuedStart(facts: QueueFacts, measured: MeasuredRuns): Estimate | null {
  const running = facts.running.map((run) => measured.left(run))
  const ahead = facts.ahead.flatMap((alike) => Array<Durations | undefined>(alike.count).fill(measured.of(alike)))
  if (!areAll(running) || !areAll(ahead)) return null
  return estimateStart({ slots: facts.slots, running, ahead, notBefore: [facts.backoffSeconds] }) ?? null
}

const areAll = (list: readonly (Durations | undefined)[]): list is readonly Durations[] => !list.includes(undefined)

/** End of a run that starts as estimated; null where its own duration is unknown. */
export function endAfter(start: Estimate, own: Durations | undefined): Estimate | null {
  if (own === undefined) return null
  const { p50, p90 } = estimateSum([own])
  return { p50: start.p50 + p50, p90: start.p90 + p90 }
}

/** A run that waits for several starts after the last of them; null where one of them is unknown. */
export function startAfter(ends: readonly (Estimate | null)[]): Estimate | null {
  const known = ends.filter((end) => end !== null)
  if (known.length === 0 || known.length < ends.length) return null
  return { p50: Math.max(...known.map(({ p50 }) => p50)), p90: Math.max(...known.map(({ p90 }) => p90)) }
}
