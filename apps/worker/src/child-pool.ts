/**
 * Children made ahead: a process takes a second or two to load the tensor runtime, and a run that just became runnable should not
 * wait for that. A spare has loaded everything and waits for its one assignment; each child still does one attempt and ends.
 */
import type { Logger } from '#libs/telemetry'
import { AttemptChild, type ChildProgram } from './attempt-child.ts'

export interface ChildPoolOptions {
  readonly program: ChildProgram
  /** How many wait at a time; 0: each child is made when it is needed. */
  readonly spares: number
  readonly logger: Logger
}

export class ChildPool {
  readonly #options: ChildPoolOptions
  readonly #spares = new Set<AttemptChild>()
  #closed = false

  constructor(options: ChildPoolOptions) {
    this.#options = options
  }

  /** Makes the spares that are missing. */
  fill(): void {
    while (!this.#closed && this.#spares.size < this.#options.spares) this.#add()
  }

  /** A child without an assignment: a spare where there is one. The caller hears and ends it from now on. */
  take(): AttemptChild {
    const [spare] = this.#spares
    if (spare) this.#spares.delete(spare)
    const child = spare ?? new AttemptChild(this.#options.program)
    // After the caller has sent the assignment: what waits comes first.
    setImmediate(() => this.fill())
    return child
  }

  /** Ends the spares; makes no more. */
  close(): void {
    this.#closed = true
    for (const spare of this.#spares) spare.kill('SIGKILL')
    this.#spares.clear()
  }

  #add(): void {
    const spare = new AttemptChild(this.#options.program)
    this.#spares.add(spare)
    spare.ended.then((exit) => {
      // Not replaced before the next one is needed: a program that cannot start would be started again for ever.
      if (!this.#spares.delete(spare)) return
      this.#options.logger.warn({ ...exit, stderr: spare.stderrTail || undefined }, 'a spare child ended before it had work')
    })
  }
}
