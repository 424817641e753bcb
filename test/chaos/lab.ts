/** A whole lab in one folder whose every part can be broken: api, scheduler, two workers, Postgres, Redis where there is one, store. */
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { makePhantomNih } from '#libs/datasets'
import { migrate } from '#libs/run-store'
import { type ApiClient, createApiClient } from '../../apps/cli/src/client/api-client.ts'
import { type Database, openDatabase } from './observation.ts'
import { freePort, patiently, type RedisServer, type Server, startPostgres, startRedis } from './servers.ts'
import { Service } from './service.ts'
import { startWire, type Wire } from './wire.ts'

export interface LabOptions {
  /** Of the lab's own; absent or empty. */
  readonly dir: string
  /** Program of the Redis server; null: the queue lies in Postgres. */
  readonly redis: string | null
}

export interface Lab {
  readonly dir: string
  readonly objects: string
  readonly databaseUrl: string
  readonly queueUrl: string
  readonly api: ApiClient
  readonly db: Database
  readonly postgres: Server
  readonly redis: RedisServer | null
  readonly services: { readonly api: Service; readonly scheduler: Service; readonly workers: readonly Service[] }
  /** The wires from a worker, by its name, to Postgres and Redis. */
  readonly wires: ReadonlyMap<string, readonly Wire[]>
  /** Process id of the child that works on an attempt, as its worker's log told. */
  childOf(attemptId: string): number | undefined
  stop(): Promise<void>
}

/** Short clocks, so that an hour of a real lab's life takes minutes here. The lease still is ten heartbeats. */
const CLOCKS = {
  HEARTBEAT_MS: '500',
  LEASE_MS: '5000',
  CHECKPOINT_EVERY_MS: '400',
  GRACE_MS: '20000',
  LEASE_SWEEP_MS: '200',
  REQUEUE_SWEEP_MS: '500',
  LEADERSHIP_RETRY_MS: '200',
  OUTBOX_POLL_MS: '200',
}
/** Faults are many and the budgets of a real lab are few. */
const BUDGETS = { RETRY_CRASHED: '1000', RETRY_LOST: '1000', POISON_WORKERS: '1000' }

const entryOf = (path: string) => fileURLToPath(new URL(`../../apps/${path}`, import.meta.url))

export async function startLab({ dir, redis: redisProgram }: LabOptions): Promise<Lab> {
  const objects = join(dir, 'objects')
  const data = join(dir, 'data')
  for (const folder of [objects, data]) await mkdir(folder, { recursive: true })
  // As root, the embedded Postgres runs as another user, who must be able to pass through.
  await chmod(dir, 0o711)
  await makePhantomNih(join(data, 'phantom'), { images: 96, patients: 72, seed: 3 })
  const postgres = await startPostgres(dir)
  await migrate(postgres.url)
  const redis = redisProgram === null ? null : await startRedis(redisProgram, dir)
  const queueUrl = redis?.url ?? postgres.url
  const port = await freePort()
  const environment = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    QUEUE_URL: queueUrl,
    OBJECT_STORE_URL: pathToFileURL(objects).href,
    DATASET_ROOTS: data,
    API_PORT: String(port),
    // One thread an engine: the order of additions, and with it every bit of the results, hangs on it.
    ENGINE: 'onnx',
    ENGINE_THREADS: '1',
    ...CLOCKS,
    ...BUDGETS,
  }
  const children = new Map<string, number>()
  const onLog = (line: Readonly<Record<string, unknown>>) => {
    if (typeof line.child_pid === 'number' && typeof line.attempt_id === 'string') children.set(line.attempt_id, line.child_pid)
  }
  const service = (name: string, path: string, upLine: string, wired: Readonly<Record<string, string>> = {}) =>
    new Service({
      name,
      entry: entryOf(path),
      environment: { ...environment, ...wired },
      logFile: join(dir, `${name}.log`),
      upLine,
      // The store is closed to workers by permissions, which stop root only where it has given up its right to pass over them.
      unprivileged: name in wiresOf && process.getuid?.() === 0,
      onLog,
    })
  const wiresOf: Record<string, readonly Wire[]> = {}
  const wiredWorker = async (name: string) => {
    const toPostgres = await startWire(postgres.url)
    const toQueue = redis === null ? toPostgres : await startWire(redis.url)
    wiresOf[name] = redis === null ? [toPostgres] : [toPostgres, toQueue]
    return service(name, 'worker/src/main.ts', 'worker takes attempts', { DATABASE_URL: toPostgres.url, QUEUE_URL: toQueue.url })
  }
  const services = {
    api: service('api', 'api/src/server.ts', 'Server listening'),
    scheduler: service('scheduler', 'scheduler/src/main.ts', 'this scheduler leads'),
    workers: [await wiredWorker('worker-1'), await wiredWorker('worker-2')],
  }
  const all = [services.api, services.scheduler, ...services.workers]
  for (const one of all) one.start()
  const db = openDatabase(postgres.url)
  const wires = new Map(Object.entries(wiresOf))
  const stop = async () => {
    await Promise.all(all.map((one) => one.stop()))
    await Promise.all([...wires.values()].flat().map((wire) => wire.close()))
    await db.close()
    await redis?.stop()
    await postgres.stop()
  }
  try {
    await Promise.all(all.map((one) => one.up()))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    dir,
    objects,
    databaseUrl: postgres.url,
    queueUrl,
    api: createApiClient(`http://127.0.0.1:${port}`),
    db,
    postgres,
    redis,
    services,
    wires,
    childOf: (attemptId) => children.get(attemptId),
    stop,
  }
}

export async function registerPhantom(lab: Lab): Promise<void> {
  const dataset = { name: 'phantom', kind: 'nih14', root: join(lab.dir, 'data', 'phantom') }
  await patiently(() => lab.api.post('/v1/datasets', dataset))
}

/** Process ids of this machine whose environment names the lab's folder: its services and their children. */
export async function processesOf(dir: string): Promise<number[]> {
  const { readdir } = await import('node:fs/promises')
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found: number[] = []
  for (const pid of ids) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (environment.includes(`file://${dir}/`)) found.push(pid)
  }
  return found
}
