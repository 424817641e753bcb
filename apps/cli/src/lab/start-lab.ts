/** The embedded lab: Postgres from npm, the schema, then api, scheduler and worker as processes of their own on this machine. */
import { realpath, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isObjectAddress } from '#libs/experiments'
import { type EmbeddedPostgres, migrate, startEmbeddedPostgres } from '#libs/run-store'
import { CliError, LabError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { serviceEnvironment } from './environment.ts'
import { otherPort, usablePort } from './free-port.ts'
import { type LabFolder, logTail, openLabFolder } from './lab-folder.ts'
import { lockLab } from './lab-lock.ts'
import { createLabServices } from './lab-services.ts'

export interface LabOptions {
  /** Where the lab's data lies; made where missing. */
  readonly dir: string
  /** Port of the api on loopback; 0 takes a free one. */
  readonly port: number
  /** Folders and s3:// addresses that data sets may be registered from. */
  readonly datasetRoots: readonly string[]
  /** `redis://` or `postgresql://`; undefined: the lab's own Postgres. */
  readonly queueUrl?: string | undefined
  /** Handed on to the services (PATH, ENGINE_THREADS, LOG_LEVEL, ...); the lab's own addresses win. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ends the start before the lab is up: what runs by then is stopped in order. */
  readonly signal?: AbortSignal
  /** One line on what happens. */
  readonly note?: (line: string) => void
  /** Each line that a service writes. */
  readonly onLog?: (service: string, line: string) => void
}

export interface Lab {
  readonly apiUrl: string
  /** Where the worker shows its metrics; the api's are at `${apiUrl}/metrics`. */
  readonly workerMetricsUrl: string
  readonly dir: string
  readonly logs: string
  /** Process ids of the services that run now. */
  processes(): Readonly<Record<string, number | undefined>>
  /** Resolves with the reason when the lab broke down; never where it did not. */
  readonly broken: Promise<LabError>
  /** Services first, Postgres last; called again it hurries the services. */
  stop(): Promise<void>
}

const READY_WITHIN_MS = 60_000
const POLL_MS = 100

/** Resolves when the api is ready. @throws CliError with one clear line; then nothing runs any more. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const note = options.note ?? (() => undefined)
  const folder = await openLabFolder(resolve(options.dir))
  const datasetRoots = await Promise.all(options.datasetRoots.map(usableRoot))
  const lock = await lockLab(folder, note)
  const undo: (() => Promise<void>)[] = [lock.release]
  const rewind = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const port = await usablePort(options.port)
    const postgres = await startDatabase(folder)
    undo.push(() => stopDatabase(postgres))
    await migrate(postgres.url)

    const workerMetricsPort = await otherPort(port)
    const addresses = { databaseUrl: postgres.url, queueUrl: options.queueUrl, port, workerMetricsPort, datasetRoots }
    const environment = serviceEnvironment(options.environment, folder, addresses)
    const services = createLabServices({ folder, lock, environment, note, onLog: options.onLog })
    undo.push(services.stop)
    refuseWhereAborted(options.signal)
    await services.start()
    const apiUrl = `http://127.0.0.1:${port}`
    await untilReady(apiUrl, folder, services.broken, options.signal)
    let stopped: Promise<void> | undefined
    return {
      apiUrl,
      workerMetricsUrl: `http://127.0.0.1:${workerMetricsPort}/metrics`,
      dir: folder.dir,
      logs: folder.logs,
      processes: services.processes,
      broken: services.broken,
      async stop() {
        if (stopped !== undefined) await services.stop()
        stopped ??= rewind()
        await stopped
      },
    }
  } catch (error) {
    await rewind()
    throw error instanceof CliError ? error : new LabError('lab-start', messageOf(error), { cause: error })
  }
}

/** A folder, links followed, or an s3:// address as it is. */
async function usableRoot(root: string): Promise<string> {
  if (isObjectAddress(root)) return root
  const path = resolve(root)
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isFolder) throw new LabError('dataset-root-missing', `--dataset-root ${root} is not a folder`)
  return await realpath(path)
}

async function startDatabase(folder: LabFolder): Promise<EmbeddedPostgres> {
  return await startEmbeddedPostgres(folder.postgres, { log: join(folder.logs, 'postgres.log') })
}

/** A server that an earlier lab left running is ours too: the lock says that nobody else uses it. */
async function stopDatabase(postgres: EmbeddedPostgres): Promise<void> {
  if (!postgres.shared) return await postgres.stop()
  try {
    process.kill(postgres.pid, 'SIGINT')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function refuseWhereAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CliError('interrupted', EXIT.interrupted, 'the lab was stopped before it was up')
}

async function untilReady(
  apiUrl: string,
  folder: LabFolder,
  broken: Promise<LabError>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let failure: LabError | undefined
  broken.then((error) => {
    failure = error
  })
  const deadline = performance.now() + READY_WITHIN_MS
  while (performance.now() < deadline) {
    if (failure !== undefined) throw failure
    refuseWhereAborted(signal)
    const ready = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(5000) }).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
    await delay(POLL_MS)
  }
  const last = await logTail(join(folder.logs, 'api.log'), 1)
  throw new LabError('not-ready', `the api did not get ready within ${READY_WITHIN_MS / 1000} s: ${last} (logs: ${folder.logs})`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
