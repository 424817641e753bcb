/**
 * A Postgres of the lab's own, from npm packages: started once for a data folder and shared by whoever comes second;
 * it survives a parent that is killed, and the next start finds it again.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { EmbeddedPostgresError } from '../errors.ts'
import { nativeFolder, processOptions, type ServerAccount, serverAccount } from './binaries.ts'

export interface EmbeddedPostgres {
  /** Of the database `postgres`, superuser, loopback only. */
  readonly url: string
  readonly pid: number
  /** True where it ran already: then `stop` leaves it alone. */
  readonly shared: boolean
  /** Fast shutdown: open sessions are ended, everything committed is kept. */
  stop(): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /** File that takes the server's log; default `postgres.log` beside the data folder. */
  readonly log?: string
  /** Default: a free one. A server that is started again for clients that know its address needs the same. */
  readonly port?: number
  /** Server settings (`name: value`) over the defaults. */
  readonly settings?: Readonly<Record<string, string>>
}

const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  // No socket file: its path would have to be short, writable and private.
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '64MB',
}
const START_TIMEOUT_MS = 30_000

/**
 * Starts Postgres on `dir` (made and initialised where absent), or joins the server that already runs there.
 * @throws EmbeddedPostgresError where it cannot be started; the message ends with the last lines of the server's log.
 */
export async function startEmbeddedPostgres(dir: string, options: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const data = resolve(dir)
  const running = runningServer(data)
  if (running && (await reachable(running.port))) {
    return { url: urlOf(running.port), pid: running.pid, shared: true, stop: async () => {} }
  }
  const account = serverAccount()
  const native = nativeFolder(account)
  initialise(native, data, account)
  const log = options.log ?? join(dirname(data), 'postgres.log')
  const port = options.port ?? (await freePort())
  const child = launch(native, data, port, account, log, { ...DEFAULT_SETTINGS, ...options.settings })
  await untilReady(child, port, log)
  return { url: urlOf(port), pid: child.pid ?? -1, shared: false, stop: () => stop(child) }
}

const urlOf = (port: number) => `postgresql://postgres@127.0.0.1:${port}/postgres`

/** What postmaster.pid says, where that process lives. */
function runningServer(data: string): { pid: number; port: number } | undefined {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return undefined
  const [pid, , , port] = readFileSync(file, 'utf8').split('\n').map(Number)
  return pid && port && isAlive(pid) ? { pid, port } : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function initialise(native: string, data: string, account: ServerAccount): void {
  if (existsSync(join(data, 'PG_VERSION'))) return
  mkdirSync(dirname(data), { recursive: true })
  // What an interrupted initdb left is no database: PG_VERSION is among the last files it writes.
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { mode: 0o700 })
  if (account.uid !== undefined && account.gid !== undefined) chownSync(data, account.uid, account.gid)
  const flags = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--data-checksums', '--no-sync']
  try {
    execFileSync(join(native, 'bin/initdb'), flags, { ...processOptions(account), stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (cause) {
    const told = String((cause as { stderr?: unknown }).stderr ?? '').trim()
    const hint =
      /Permission denied/.test(told) && account.uid !== undefined
        ? ' (as root, Postgres runs as another user: let it pass through the folders above)'
        : ''
    throw new EmbeddedPostgresError(`initdb failed: ${told || String(cause)}${hint}`, { cause })
  }
}

function launch(
  native: string,
  data: string,
  port: number,
  account: ServerAccount,
  log: string,
  settings: Readonly<Record<string, string>>,
): ChildProcess {
  const out = openSync(log, 'a')
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // Detached: Ctrl-C in the terminal stops the lab in its own order, not the database first.
  const child = spawn(join(native, 'bin/postgres'), ['-D', data, '-p', String(port), ...flags], {
    ...processOptions(account),
    stdio: ['ignore', out, out],
    detached: true,
  })
  closeSync(out)
  child.unref()
  return child
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

async function untilReady(child: ChildProcess, port: number, log: string): Promise<void> {
  let spawnError: Error | undefined
  child.once('error', (error) => {
    spawnError = error
  })
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline && !hasEnded(child) && !spawnError) {
    if (await reachable(port)) return
    await delay(10)
  }
  const how = spawnError
    ? spawnError.message
    : hasEnded(child)
      ? `ended with ${child.exitCode ?? child.signalCode}`
      : 'did not answer'
  if (!hasEnded(child)) child.kill('SIGKILL')
  const tail = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-6).join('\n') : ''
  throw new EmbeddedPostgresError(`the embedded Postgres ${how}: ${tail}`, spawnError ? { cause: spawnError } : undefined)
}

/** Ready when a session opens: the port answers earlier, while recovery still runs. */
async function reachable(port: number): Promise<boolean> {
  const client = new pg.Client({ connectionString: urlOf(port), connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

const freePort = () =>
  new Promise<number>((found, failed) => {
    const server = createServer()
      .once('error', failed)
      .listen(0, '127.0.0.1', () => {
        const address = server.address()
        const port = typeof address === 'object' && address ? address.port : 0
        server.close(() => found(port))
      })
  })

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = new Promise((done) => child.once('exit', done))
  child.ref()
  child.kill('SIGINT')
  await ended
}
