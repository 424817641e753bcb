/** One service of the lab as a child process: started through tsx, its output in a log file, started again when it crashes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { LabError } from '../errors.ts'
import { logTail, rotateLog } from './lab-folder.ts'
import { createRestartPolicy } from './restart-policy.ts'

export interface ServiceOptions {
  readonly name: string
  /** Absolute path of the process file. */
  readonly entry: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly logFile: string
  /** After SIGTERM, before SIGKILL. */
  readonly stopWithinMs: number
  readonly note: (line: string) => void
  /** Each line of output; undefined: only the log file gets it. */
  readonly onLine?: (line: string) => void
  /** It crashed too often. */
  readonly onGiveUp: (error: LabError) => void
  readonly onStarted: () => void
}

export interface ServiceProcess {
  readonly name: string
  readonly entry: string
  /** Undefined between a crash and the next start. */
  pid(): number | undefined
  start(): Promise<void>
  /** SIGTERM, then SIGKILL after the deadline; resolves when it is gone. Called again: a second SIGTERM, which hurries it. */
  stop(): Promise<void>
}

export function createServiceProcess(options: ServiceOptions): ServiceProcess {
  const { name, entry, note } = options
  const policy = createRestartPolicy()
  let child: ChildProcess | undefined
  let log: WriteStream | undefined
  let pendingRestart: NodeJS.Timeout | undefined
  let stopping = false

  function launch(): void {
    const startedAt = performance.now()
    // A group of its own: Ctrl-C on the terminal reaches the lab alone, which then stops its services in order.
    const spawned = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), entry], {
      env: { ...options.environment } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    child = spawned
    for (const stream of [spawned.stdout, spawned.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        log?.write(`${line}\n`)
        options.onLine?.(line)
      })
    }
    // `close` comes after the last line of output, and after a failed spawn as well.
    spawned.once('error', (error) => log?.write(`${error.message}\n`))
    spawned.once('close', (code, signal) => {
      child = undefined
      if (!stopping) crashed(signal ?? `code ${code}`, performance.now() - startedAt)
    })
    options.onStarted()
  }

  function crashed(how: string, livedMs: number): void {
    const decision = policy.crashed(livedMs)
    if (decision.kind === 'restart') {
      note(`${name} ended with ${how}; starting it again (log: ${options.logFile})`)
      pendingRestart = setTimeout(launch, decision.delayMs)
      return
    }
    logTail(options.logFile, 1).then((last) => {
      const message = `${name} ended ${decision.crashes} times in a row, the last time with ${how}: ${last} (log: ${options.logFile})`
      options.onGiveUp(new LabError('service-crashes', message))
    })
  }

  return {
    name,
    entry,
    pid: () => child?.pid,
    async start() {
      await rotateLog(options.logFile)
      log = createWriteStream(options.logFile, { flags: 'a' })
      launch()
    },
    async stop() {
      stopping = true
      clearTimeout(pendingRestart)
      const running = child
      if (running !== undefined) await end(running, options.stopWithinMs)
      const open = log
      log = undefined
      if (open !== undefined) await new Promise<void>((resolve) => open.end(resolve))
    },
  }
}

async function end(child: ChildProcess, withinMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await closed
  clearTimeout(late)
}
