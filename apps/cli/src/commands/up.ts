import { type Command, InvalidArgumentError } from 'commander'
import { shortLogLine } from '../lab/log-line.ts'
import type { Lab } from '../lab/start-lab.ts'
import type { Context, Terminal } from './context.ts'

interface UpOptions {
  readonly dir: string
  readonly port: number
  readonly datasetRoot: readonly string[]
  readonly verbose: boolean
}

export function addUp(program: Command, context: Context): void {
  program
    .command('up')
    .description('run a lab on this machine: Postgres, api, scheduler and worker, until Ctrl-C')
    .option('--dir <dir>', 'where its data lies', '.cxrlab')
    .option('--port <port>', 'port of the api; 0 takes a free one', portNumber, 8080)
    .option('--dataset-root <dir...>', 'folders and s3:// addresses that data sets may be registered from', [])
    .option('--verbose', 'show what the services log', false)
    .action(async (options: UpOptions) => await up(context, options))
}

async function up(context: Context, options: UpOptions): Promise<void> {
  const { terminal, config } = context
  terminal.note('starting a lab; the first time its database is made, which takes a few seconds')
  const signals = watchSignals()
  // Loaded here alone: the database's client would double the start of every other command.
  const { startLab } = await import('../lab/start-lab.ts')
  const lab = await startLab({
    dir: options.dir,
    port: options.port,
    datasetRoots: options.datasetRoot,
    queueUrl: config.queueUrl,
    environment: config.environment,
    signal: signals.first,
    note: terminal.note,
    ...(options.verbose && { onLog: (service: string, line: string) => terminal.note(shortLogLine(service, line)) }),
  })
  announce(context, lab)
  const error = await Promise.race([lab.broken, stopWhenAsked(lab, terminal, signals)])
  if (error === undefined) return
  await lab.stop()
  throw error
}

function announce(context: Context, lab: Lab): void {
  const places = {
    api: lab.apiUrl,
    docs: `${lab.apiUrl}/docs`,
    metrics: `${lab.apiUrl}/metrics`,
    worker: lab.workerMetricsUrl,
    data: lab.dir,
    logs: lab.logs,
  }
  if (context.json()) {
    context.terminal.print(JSON.stringify(places))
    return
  }
  const lines = Object.entries(places).map(([name, place]) => `  ${name.padEnd(8)} ${place}`)
  context.terminal.print(['the lab is up; Ctrl-C stops it', ...lines].join('\n'))
}

interface Signals {
  /** Aborted by the first signal. */
  readonly first: AbortSignal
  /** Called for each further one. */
  onAnother(act: () => void): void
}

/** From the very start: without a handler a signal would end this process and leave its services behind. */
function watchSignals(): Signals {
  const first = new AbortController()
  let another = () => undefined as unknown
  const onSignal = () => {
    if (first.signal.aborted) another()
    else first.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  return {
    first: first.signal,
    onAnother: (act) => {
      another = act
    },
  }
}

/** Resolves when the lab was stopped: in order after the first signal, hurried after a second one. */
function stopWhenAsked(lab: Lab, terminal: Terminal, signals: Signals): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const stop = (note: string) => {
      terminal.note(note)
      lab.stop().then(() => resolve(undefined), reject)
    }
    const stopInOrder = () => stop('stopping; running work is checkpointed first (Ctrl-C again hurries it)')
    if (signals.first.aborted) stopInOrder()
    else signals.first.addEventListener('abort', stopInOrder, { once: true })
    signals.onAnother(() => stop('hurrying'))
  })
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError('must be a port, 0 to 65535')
  return port
}
