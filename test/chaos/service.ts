/** One service of the lab under fire: its process is started again whenever it ends, whatever ended it, until `stop`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

export interface ServiceOptions {
  readonly name: string
  /** The process file, run through tsx. */
  readonly entry: string
  readonly environment: Readonly<Record<string, string>>
  readonly logFile: string
  /** Text of the log line that says: it works. */
  readonly upLine: string
  /** Runs the process without the right to pass over permissions (root only). */
  readonly unprivileged: boolean
  /** Each JSON line of its log. */
  readonly onLog: (line: Readonly<Record<string, unknown>>) => void
}

/** As root, permissions stop nobody: without these capabilities they do, and a store can be made unreachable by chmod. */
const UNPRIVILEGED = ['setpriv', '--bounding-set=-dac_override,-dac_read_search']

const UP_WITHIN_MS = 120_000

export class Service {
  readonly name: string
  /** How often the process has been started. */
  starts = 0
  readonly #options: ServiceOptions
  readonly #log: WriteStream
  #process: ChildProcess | undefined
  #isUp = false
  #wentUp = Promise.resolve()
  #onUp: () => void = () => {}
  #lastLine = 'it said nothing'
  #stopping = false
  #gone: Promise<void> = Promise.resolve()

  constructor(options: ServiceOptions) {
    this.#options = options
    this.name = options.name
    this.#log = createWriteStream(options.logFile, { flags: 'a' })
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Resolves when the process that was started last has said that it works. @throws Error where that takes minutes */
  async up(): Promise<void> {
    const late = AbortSignal.timeout(UP_WITHIN_MS)
    while (!this.#isUp) {
      if (late.aborted) throw new Error(`${this.name} did not get up: ${this.#lastLine} (log: ${this.#options.logFile})`)
      await Promise.race([this.#wentUp, delay(1000, undefined, { signal: late }).catch(() => {})])
    }
  }

  start(): void {
    const { entry, environment, unprivileged } = this.#options
    const command = [process.execPath, '--import', import.meta.resolve('tsx'), entry]
    const [program, ...args] = unprivileged ? [...UNPRIVILEGED, ...command] : command
    this.starts++
    this.#isUp = false
    this.#wentUp = new Promise((resolve) => {
      this.#onUp = resolve
    })
    const child = spawn(program!, args, { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', (line) => this.#line(line))
    this.#gone = new Promise((resolve) => {
      // `exit`, not `close`: children of a killed worker may hold its output open for a while.
      child.once('exit', () => {
        this.#process = undefined
        if (!this.#stopping) this.start()
        resolve()
      })
    })
  }

  /** To the running process; false where there is none at the moment. */
  signal(name: NodeJS.Signals): boolean {
    return this.#process?.kill(name) ?? false
  }

  /** Kills the process and resolves when the next one works. */
  async replace(name: NodeJS.Signals): Promise<void> {
    const before = this.starts
    if (this.signal(name)) await this.#gone
    if (this.starts > before || !this.#isUp) await this.up()
  }

  /** SIGTERM, then SIGKILL after the deadline. */
  async stop(withinMs = 30_000): Promise<void> {
    this.#stopping = true
    const late = setTimeout(() => this.signal('SIGKILL'), withinMs)
    this.signal('SIGCONT')
    this.signal('SIGTERM')
    await this.#gone
    clearTimeout(late)
    await new Promise<void>((resolve) => this.#log.end(() => resolve()))
  }

  #line(text: string): void {
    if (!this.#log.writableEnded) this.#log.write(`${text}\n`)
    this.#lastLine = text
    if (text.includes(this.#options.upLine)) {
      this.#isUp = true
      this.#onUp()
    }
    if (!text.startsWith('{')) return
    try {
      this.#options.onLog(JSON.parse(text) as Record<string, unknown>)
    } catch {
      // Cut off by a kill.
    }
  }
}
