/** A worker whose accelerator failed takes no more work, and says so where people look: its row, its metrics, its log. */
import type { Logger } from '#libs/telemetry'
import type { WorkerMetrics } from './observer.ts'

export interface DrainOptions {
  readonly metrics: Pick<WorkerMetrics, 'draining'>
  readonly logger: Logger
  /** Called once, at the first fault. */
  readonly onDrain: () => void
}

export class Drain {
  readonly #options: DrainOptions
  #reason: string | null = null

  constructor(options: DrainOptions) {
    this.#options = options
    options.metrics.draining.set(0)
  }

  /** Why no work is taken; null: it is. */
  get reason(): string | null {
    return this.#reason
  }

  begin(reason: string): void {
    if (this.#reason !== null) return
    this.#reason = reason
    this.#options.metrics.draining.set(1)
    this.#options.logger.error({ reason }, 'worker drains: it takes no more work until it is started again')
    this.#options.onDrain()
  }
}
