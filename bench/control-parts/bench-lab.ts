/** The services of a lab as processes of their own on this machine, for timing: real but for the child, which computes nothing. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { makePhantomNih } from '#libs/datasets'
import { migrate, openRunStore, type RunStore } from '#libs/run-store'
import { type ApiClient, createApiClient } from '../../apps/cli/src/client/api-client.ts'
import { type Database, openDatabase } from '../../test/chaos/observation.ts'
import { freePort, startPostgres, startRedis } from '../../test/chaos/servers.ts'
import { Service } from '../../test/chaos/service.ts'

export interface BenchLab {
  readonly queue: 'postgres' | 'redis'
  readonly api: ApiClient
  readonly db: Database
  /** The store as the services open it, for what is measured without HTTP. */
  readonly store: RunStore
  startWorker(): Promise<Service>
  /** CPU seconds that api, scheduler and the workers' supervisors have used. */
  cpuSeconds(): Promise<number>
  stop(): Promise<void>
}

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Ordinary clocks, heartbeats and leases: what is timed is what a lab does. */
export async function startBenchLab(redisProgram: string | null): Promise<BenchLab> {
  const dir = await mkdtemp(join(tmpdir(), 'cxrlab-bench-'))
  await chmod(dir, 0o711)
  await makePhantomNih(join(dir, 'data', 'phantom'), { images: 24, patients: 18, seed: 1 })
  const postgres = await startPostgres(dir)
  await migrate(postgres.url)
  const redis = redisProgram === null ? null : await startRedis(redisProgram, dir)
  const port = await freePort()
  const environment = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    QUEUE_URL: redis?.url ?? postgres.url,
    OBJECT_STORE_URL: pathToFileURL(join(dir, 'objects')).href,
    DATASET_ROOTS: join(dir, 'data'),
    API_PORT: String(port),
    GRID_POINT_LIMIT: '100000',
    RATE_LIMIT_PER_MINUTE: '1000000',
    // A line a request would be timed too; production labs choose the same.
    LOG_LEVEL: 'warn',
  }
  let workers = 0
  const service = (name: string, entry: string, upLine: string, more: Record<string, string> = {}) =>
    new Service({
      name,
      entry: root(entry),
      environment: { ...environment, ...more },
      logFile: join(dir, `${name}.log`),
      upLine,
      unprivileged: false,
      onLog: () => {},
    })
  const info = { LOG_LEVEL: 'info' }
  const services = [
    service('api', 'apps/api/src/server.ts', 'Server listening', info),
    service('scheduler', 'apps/scheduler/src/main.ts', 'this scheduler leads', info),
  ]
  for (const one of services) one.start()
  await Promise.all(services.map((one) => one.up()))
  const api = createApiClient(`http://127.0.0.1:${port}`)
  await api.post('/v1/datasets', { name: 'phantom', kind: 'nih14', root: join(dir, 'data', 'phantom') })
  const db = openDatabase(postgres.url)
  const store = await openRunStore({ databaseUrl: postgres.url, poolSize: 8 })
  return {
    queue: redis === null ? 'postgres' : 'redis',
    api,
    db,
    store,
    async startWorker() {
      const worker = service(`worker-${++workers}`, 'bench/control-parts/bench-worker.ts', 'worker takes attempts', info)
      services.push(worker)
      worker.start()
      await worker.up()
      return worker
    },
    async cpuSeconds() {
      const used = await Promise.all(services.map(({ pid }) => (pid === undefined ? 0 : cpuSecondsOf(pid))))
      return used.reduce((sum, seconds) => sum + seconds, 0)
    },
    async stop() {
      await Promise.all(services.map((one) => one.stop()))
      await store.close()
      await db.close()
      await redis?.stop()
      await postgres.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Ticks of /proc/PID/stat; a hundred a second on every Linux that Node runs on. */
async function cpuSecondsOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ').at(-1)!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export const machine = () => `${cpus()[0]?.model ?? 'CPU'}, ${cpus().length} cores, Node ${process.versions.node}`
