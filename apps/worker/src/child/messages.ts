/** The child's end of the protocol: batches what it says, and hears the one request to stop. */
import type { Logger } from '#libs/telemetry'
import { type AssignmentMessage, type FromChild, type MetricPoint, type MetricSink, toChildSchema } from '#libs/training'

/** Points are sent in groups: one IPC message a step would cost more than the message itself. */
const FLUSH_POINTS = 200
const FLUSH_MS = 250
const PROGRESS_MS = 250

export class SupervisorLink implements MetricSink {
  #points: [number, string, number][] = []
  #lastFlushMs = 0
  #lastProgressMs = 0
  #lastProgress: FromChild | null = null
  #stop = false
  readonly assignment: Promise<AssignmentMessage>

  constructor(logger: Logger) {
    this.assignment = new Promise((resolve) => {
      process.on('message', (message) => {
        const parsed = toChildSchema.safeParse(message)
        if (!parsed.success) logger.error('a message from the supervisor is not part of the protocol')
        else if (parsed.data.type === 'assignment') resolve(parsed.data)
        else this.#stop = true
      })
    })
    // Without its supervisor nothing that this process finds out would count.
    process.on('disconnect', () => process.exit(1))
    process.on('SIGTERM', () => {
      this.#stop = true
    })
  }

  readonly stopRequested = (): boolean => this.#stop

  send(message: FromChild): void {
    process.send?.(message)
  }

  record(points: readonly MetricPoint[]): void {
    // JSON has no word for the others; a loss or gradient that is none of a number ends the run before it comes here.
    for (const { step, name, value } of points) if (Number.isFinite(value)) this.#points.push([step, name, value])
    if (this.#points.length >= FLUSH_POINTS || performance.now() - this.#lastFlushMs >= FLUSH_MS) this.flush()
  }

  progress(done: number, total: number, unit: 'images' | 'steps' | 'epochs'): void {
    const now = performance.now()
    if (done < total && now - this.#lastProgressMs < PROGRESS_MS) return
    this.#lastProgressMs = now
    this.#lastProgress = { type: 'progress', done, total, unit }
    this.send(this.#lastProgress)
  }

  /** A sign of life while something is waited for: the last progress again. */
  stillHere(): void {
    if (this.#lastProgress) this.send(this.#lastProgress)
  }

  flush(): void {
    this.#lastFlushMs = performance.now()
    if (this.#points.length > 0) this.send({ type: 'metrics', points: this.#points.splice(0) })
  }

  /** Sends the last message, if there is one, after all others, and waits until it has left. */
  async sendLast(message: FromChild = { type: 'metrics', points: [] }): Promise<void> {
    this.flush()
    await new Promise<void>((resolve) => {
      if (!process.send) return resolve()
      process.send(message, undefined, undefined, () => resolve())
    })
  }
}
