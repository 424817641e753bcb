/** What a run survives: its worker killed or frozen, and Postgres killed. Real processes, a Postgres of its own, short leases. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { expandGrid, parseGridRequest } from '#libs/experiments'
import { migrate, openRunStore, type RunStore } from '#libs/run-store'
import { type Server, startPostgres } from '../chaos/servers.ts'
import { Service } from '../chaos/service.ts'

const WORKER = fileURLToPath(new URL('./fixtures/scripted-worker.ts', import.meta.url))
const SCHEDULER = fileURLToPath(new URL('../../apps/scheduler/src/main.ts', import.meta.url))
const dataset = { name: 'nih', kind: 'nih14' as const, fingerprint: 'b'.repeat(64) }

describe('a run whose surroundings break', () => {
  let dir: string
  let postgres: Server
  let store: RunStore
  let scheduler: Service
  const workers: Service[] = []
  const logs: Record<string, unknown>[] = []

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cxrlab-failover-'))
    // As root, the embedded Postgres runs as another user, who must be able to pass through.
    await chmod(dir, 0o711)
    postgres = await startPostgres(dir)
    await migrate(postgres.url)
    store = await openRunStore({ databaseUrl: postgres.url, poolSize: 3 })
    await store.datasets.register({ ...dataset, root: '/data/nih' })
    scheduler = service('scheduler', SCHEDULER, 'this scheduler leads', {
      LEASE_SWEEP_MS: '100',
      REQUEUE_SWEEP_MS: '200',
      LEADERSHIP_RETRY_MS: '100',
      OUTBOX_POLL_MS: '100',
    })
    scheduler.start()
    await scheduler.up()
  })
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop()
  })
  afterAll(async () => {
    await scheduler.stop()
    await store.close()
    await postgres.stop()
    await rm(dir, { recursive: true, force: true })
  })

  function service(name: string, entry: string, upLine: string, environment: Record<string, string>): Service {
    const addresses = { DATABASE_URL: postgres.url, QUEUE_URL: postgres.url, OBJECT_STORE_URL: 'file:///tmp/never-used' }
    return new Service({
      name,
      entry,
      environment: { PATH: process.env.PATH ?? '', ...addresses, ...environment },
      logFile: join(dir, `${name}.log`),
      upLine,
      unprivileged: false,
      onLog: (line) => logs.push(line),
    })
  }

  async function startWorker(resourceClass: string, leaseMs: number): Promise<Service> {
    const worker = service(`worker-${resourceClass}-${workers.length}`, WORKER, 'worker takes attempts', {
      SCRIPT: 'steady',
      RESOURCE_CLASS: resourceClass,
      HEARTBEAT_MS: String(leaseMs / 10),
      LEASE_MS: String(leaseMs),
      SPARE_CHILDREN: '0',
    })
    workers.push(worker)
    worker.start()
    await worker.up()
    return worker
  }

  /** A run of random weights in a class of machines of its own. */
  async function submit(resourceClass: string, seed: number): Promise<string> {
    const request = parseGridRequest({
      name: resourceClass,
      dataset: 'nih',
      method: ['none'],
      seed: [seed],
      resourceClass,
      evaluations: [{}],
    })
    const plan = expandGrid(request, new Map([['nih', dataset]]))
    await store.grids.submit({ request, plan, owner: 'test', idempotencyKey: null, dryRun: false })
    return plan.runs.find(({ kind }) => kind === 'pretrain')!.id
  }

  async function until<T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> {
    const deadline = performance.now() + 100_000
    for (;;) {
      const seen = await look().catch(() => undefined)
      if (seen) return seen
      if (performance.now() > deadline) throw new Error(`did not see ${what}`)
      await delay(20)
    }
  }
  const attempt = async (runId: string, number: number) =>
    (await store.reader.run(runId))?.attemptList.find((one) => one.number === number)
  const running = (runId: string, number: number) =>
    until(async () => {
      const found = await attempt(runId, number)
      return found?.state === 'running' && found
    }, `attempt ${number} at work`)
  const lastStep = async (runId: string) =>
    (await store.reader.metrics(runId, { name: 'loss', limit: 100_000 })).at(-1)?.step ?? -1
  const holder = (found: { readonly worker: string | null }) =>
    workers.find(({ pid }) => found.worker === `test-${pid}-00000000`)!

  it('is taken over when its worker is killed', async () => {
    await startWorker('killed', 2000)
    await startWorker('killed', 2000)
    const runId = await submit('killed', 1)
    const first = await running(runId, 1)
    holder(first).signal('SIGKILL')
    const second = await running(runId, 2)
    expect(second.worker).not.toBe(first.worker)
    expect(await attempt(runId, 1)).toMatchObject({ state: 'ended', ending: 'lost' })
  })

  it('is taken over when its worker freezes; the child of the frozen one is gone soon after it wakes', async () => {
    await startWorker('frozen', 2000)
    await startWorker('frozen', 2000)
    const runId = await submit('frozen', 2)
    const first = await running(runId, 1)
    const frozen = holder(first)
    const child = logs.find(({ attempt_id, child_pid }) => attempt_id === first.id && child_pid)?.child_pid as number
    frozen.signal('SIGSTOP')
    const second = await running(runId, 2)
    expect(second.worker).not.toBe(first.worker)
    expect(() => process.kill(child, 0)).not.toThrow()
    frozen.signal('SIGCONT')
    await until(async () => !isAlive(child), 'the end of the child that nobody owns')
    expect(logs).toContainEqual(expect.objectContaining({ msg: 'lease lost', attempt_id: first.id }))
    expect(await attempt(runId, 2)).toMatchObject({ state: 'running' })
  })

  it('trains on while Postgres is killed and started again: one attempt, and no metric point is missing', async () => {
    await startWorker('database', 60_000)
    const runId = await submit('database', 3)
    await running(runId, 1)
    const before = await until(async () => (await lastStep(runId)) + 1, 'a metric point')
    await postgres.crash()
    await until(async () => (await lastStep(runId)) > before + 50, 'metric points from after the crash')
    const run = await store.reader.run(runId)
    expect(run).toMatchObject({ state: 'running', attempts: 1 })
    const steps = (await store.reader.metrics(runId, { name: 'loss', limit: 100_000 })).map(({ step }) => step)
    expect(steps).toEqual(steps.map((_, i) => i))
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
