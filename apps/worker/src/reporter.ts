/**
 * Metric points and progress on their way to the database: collected for half a second, written in one call, kept while the
 * database is away, up to a bound. Points are idempotent by (run, attempt, step, name), so a batch may be written twice.
 */
import type { AttemptRef, AttemptStore } from '#libs/runs'
import type { Logger } from '#libs/telemetry'
import { orAborted, retry } from './retry.ts'

export interface Point {
  readonly step: number
  readonly name: string
  readonly value: number
}

export interface ReporterOptions {
  readonly store: Pick<AttemptStore, 'recordMetrics' | 'recordProgress'>
  readonly ref: AttemptRef
  readonly logger: Logger
  /** The store refused a write: the lease is gone. */
  readonly onRefused: () => void
  /** So many points were dropped just now. */
  readonly onDropped: (points: number) => void
  /** Default 500. */
  readonly flushEveryMs?: number
  /** The oldest points are dropped above it. Default 50,000: an hour of a fast run. */
  readonly bufferPoints?: number
}

const BATCH_POINTS = 5000

export class Reporter {
  readonly #options: ReporterOptions
  readonly #bufferPoints: number
  #points: Point[] = []
  #progress: { readonly done: number; readonly total: number; readonly unit: string } | null = null
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> = Promise.resolve()
  #dropped = 0
  #refused = false

  constructor(options: ReporterOptions) {
    this.#options = options
    this.#bufferPoints = options.bufferPoints ?? 50_000
  }

  /** Begins to write: not before the attempt runs, or the store would refuse. */
  open(): void {
    this.#timer ??= setInterval(() => {
      this.#flushing = this.#flushing.then(() => this.#flush()).catch((error: unknown) => this.#warn(error))
    }, this.#options.flushEveryMs ?? 500)
  }

  record(points: readonly Point[]): void {
    this.#points.push(...points)
    const excess = this.#points.length - this.#bufferPoints
    if (excess <= 0) return
    this.#points.splice(0, excess)
    this.#dropped += excess
    this.#options.onDropped(excess)
  }

  /** Only the newest counts. */
  progress(done: number, total: number, unit: string): void {
    this.#progress = { done, total, unit }
  }

  /** Stops the clock and writes what is left, with retries until `signal` aborts. */
  async close(signal: AbortSignal): Promise<void> {
    const opened = this.#timer !== undefined
    clearInterval(this.#timer)
    await orAborted(this.#flushing, signal)
    if (opened) await retry(() => this.#flush(), { signal, onError: (error) => this.#warn(error) })
    if (this.#dropped > 0)
      this.#options.logger.warn({ dropped: this.#dropped }, 'metric points were dropped while the database was away')
  }

  async #flush(): Promise<void> {
    const { store, ref } = this.#options
    while (this.#points.length > 0 && !this.#refused) {
      const batch = this.#points.slice(0, BATCH_POINTS)
      const droppedBefore = this.#dropped
      if (!(await store.recordMetrics(ref, batch))) return this.#refuse()
      // While the write was under way the bound may have cut points off the front: those are written already.
      this.#points.splice(0, Math.max(0, batch.length - (this.#dropped - droppedBefore)))
    }
    const progress = this.#progress
    if (!progress || this.#refused) return
    if (!(await store.recordProgress(ref, progress.done, progress.total, progress.unit))) return this.#refuse()
    if (this.#progress === progress) this.#progress = null
  }

  #refuse(): void {
    this.#refused = true
    this.#points = []
    this.#options.onRefused()
  }

  #warn(error: unknown): void {
    this.#options.logger.warn({ err: error, waiting: this.#points.length }, 'metrics could not be written; they wait')
  }
}
