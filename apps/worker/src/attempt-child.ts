/** The process of one attempt, as the supervisor sees it: messages that were checked, an end, and the tail of its stderr. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type FromChild, fromChildSchema, type ToChild } from '#libs/training'

export interface ChildProgram {
  /** Path of the child's main module. */
  readonly entry: string
  /** All of the child's environment; the supervisor's own is not inherited. */
  readonly environment: Readonly<Record<string, string>>
  /** Options of Node; default: TypeScript through tsx. */
  readonly execArgv?: readonly string[]
}

export interface ChildEvents {
  readonly onMessage: (message: FromChild) => void
  /** A message outside the protocol; `problem` names the field, not its value. */
  readonly onNonsense: (problem: string) => void
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly startError: string | null
}

const STDERR_TAIL_CHARS = 8192
/** A process that left its stderr or channel to a descendant: its exit counts all the same. */
const CLOSE_TIMEOUT_MS = 5000

export class AttemptChild {
  /** Resolves when the process is gone and all its messages were handled. Never rejects. */
  readonly ended: Promise<ChildExit>
  readonly #process: ChildProcess
  #stderrTail = ''
  #exited = false
  #events: ChildEvents | undefined
  /** Said before anybody listened. */
  #early: unknown[] = []

  /** Starts the process; it waits for its assignment. Who does not listen at once calls {@link listen} later. */
  constructor(program: ChildProgram, events?: ChildEvents) {
    this.#events = events
    this.#process = fork(program.entry, [], {
      execArgv: [...(program.execArgv ?? ['--import', 'tsx'])],
      serialization: 'json',
      env: { ...program.environment },
      // Standard output is the child's log, in the same form as the supervisor's.
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      // A group of its own: Ctrl-C on a terminal reaches the supervisor alone, which then asks the child to checkpoint.
      detached: true,
    })
    this.#process.on('message', (message) => {
      if (this.#events) deliver(message, this.#events)
      else this.#early.push(message)
    })
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-STDERR_TAIL_CHARS)
    })
    this.ended = this.#watch()
  }

  /** Hands over what the child has said and will say. */
  listen(events: ChildEvents): void {
    this.#events = events
    for (const message of this.#early.splice(0)) deliver(message, events)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** The last lines of the child's stderr, for the log only: a stack may hold what the database must not. */
  get stderrTail(): string {
    return this.#stderrTail.trim()
  }

  /** Does nothing where the channel is closed: the end of the process is then on its way. */
  send(message: ToChild): void {
    if (!this.#process.connected) return
    // Without a callback a broken channel would be an uncaught error.
    this.#process.send(message, () => {})
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#exited) this.#process.kill(signal)
  }

  async #watch(): Promise<ChildExit> {
    const child = this.#process
    // Messages may still be on their way when `exit` fires; the channel's end comes after the last of them.
    const drained = Promise.all([once(child, 'disconnect'), child.stderr && once(child.stderr, 'close')]).catch(() => {})
    const exit = await new Promise<ChildExit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal, startError: null }))
      child.on('error', (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined) resolve({ code: null, signal: null, startError: error.code ?? error.message })
      })
    })
    this.#exited = true
    if (exit.startError === null) await Promise.race([drained, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
    return exit
  }
}

function deliver(message: unknown, events: ChildEvents): void {
  const parsed = fromChildSchema.safeParse(message)
  if (parsed.success) events.onMessage(parsed.data)
  else events.onNonsense(parsed.error.issues.map(({ path, code }) => `${path.join('.') || 'message'}: ${code}`).join(', '))
}
