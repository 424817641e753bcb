/** The worker on the real store and the real queue, both on PostgreSQL; only the child's computation is scripted. */
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { expandGrid, parseGridRequest } from '#libs/experiments'
import { createRunQueueFactory } from '#libs/queueing'
import { openRunStore } from '#libs/run-store'
import type { RunQueue, RunQueueFactory } from '#libs/runs'
import { createLogger, createRegistry, type ServiceRegistry } from '#libs/telemetry'
import { createTestDatabase, type TestDatabase } from '#libs/testkit'
import { Supervisor } from '../../apps/worker/src/supervisor.ts'

const ENTRY = fileURLToPath(new URL('./fixtures/scripted-child.ts', import.meta.url))
const logger = createLogger({ service: 'test', level: 'silent' })
const dataset = { name: 'nih', kind: 'nih14' as const, fingerprint: 'b'.repeat(64) }

describe('the worker on PostgreSQL', () => {
  let database: TestDatabase
  let store: Awaited<ReturnType<typeof openRunStore>>
  let factory: RunQueueFactory
  let queue: RunQueue
  const supervisors: Supervisor[] = []
  const registries: ServiceRegistry<'worker'>[] = []

  beforeAll(async () => {
    database = await createTestDatabase()
    store = await openRunStore({ databaseUrl: database.url, poolSize: 4 })
    factory = await createRunQueueFactory(database.url, { role: 'consumer', logger })
    queue = factory.queue()
    await store.datasets.register({ ...dataset, root: '/data/nih' })
  })
  afterEach(async () => {
    for (const supervisor of supervisors.splice(0)) await supervisor.stop()
    for (const registry of registries.splice(0)) registry.close()
  })
  // Dropping fails where a session was left open.
  afterAll(async () => {
    await factory.close()
    await store.close()
    await database.drop()
  })

  async function startWorker(id: string, script: string): Promise<Supervisor> {
    const registry = createRegistry('worker')
    registries.push(registry)
    const supervisor = new Supervisor({
      store: store.attempts,
      queue: factory,
      identity: { id, hostname: 'test', resourceClass: 'cpu', engine: 'eager', version: '0', slots: 2 },
      program: { entry: ENTRY, environment: { PATH: process.env.PATH ?? '', SCRIPT: script } },
      metrics: registry.metrics,
      logger,
      concurrency: 1,
      spareChildren: 0,
      heartbeatMs: 100,
      leaseMs: 30_000,
      checkpointEveryMs: 1000,
      graceMs: 30_000,
      stallMs: 30_000,
      datasetRoots: [],
    })
    supervisors.push(supervisor)
    await supervisor.start()
    return supervisor
  }

  async function submit(name: string, seed: number) {
    const request = parseGridRequest({ name, dataset: 'nih', ehr: ['sex'], seed: [seed], evaluations: [{}] })
    const plan = expandGrid(request, new Map([['nih', dataset]]))
    const { gridId } = await store.grids.submit({ request, plan, owner: 'test', idempotencyKey: null, dryRun: false })
    return { gridId, plan }
  }

  /** The scheduler's part, until `reached`: what became runnable is handed to the queue. */
  async function scheduleUntil(reached: () => Promise<boolean>): Promise<void> {
    const never = new AbortController().signal
    while (!(await reached())) {
      const rows = await store.scheduler.pendingOutbox(100)
      await queue.add(rows)
      await store.scheduler.confirmOutbox(rows.map(({ id }) => id))
      if (rows.length === 0) await store.scheduler.waitForOutbox(50, never)
    }
  }
  const gridEnded = (gridId: string) => async () => (await store.reader.grid(gridId))?.ended === true

  it('takes a grid through preparation, pretraining and evaluation', async () => {
    const { gridId, plan } = await submit('whole', 1)
    await startWorker('w1', 'succeed')
    await scheduleUntil(gridEnded(gridId))
    expect((await store.reader.grid(gridId))?.runs).toMatchObject({ succeeded: 3, failed: 0 })
    const pretrain = plan.runs.find(({ kind }) => kind === 'pretrain')!
    const run = await store.reader.run(pretrain.id)
    expect(run).toMatchObject({ state: 'succeeded', summary: { steps: 2 }, progress: { done: 16, total: 16, unit: 'images' } })
    expect(run?.attemptList).toMatchObject([{ state: 'ended', ending: 'succeeded', worker: 'w1' }])
    const losses = await store.reader.metrics(pretrain.id, { name: 'loss', limit: 10 })
    expect(losses.map(({ step, value }) => [step, value])).toEqual([
      [0, 6.9],
      [1, 6.5],
    ])
  })

  it('hands a run on when it is stopped: preempted here, succeeded elsewhere', async () => {
    const { gridId, plan } = await submit('handed-on', 2)
    const pretrain = plan.runs.find(({ kind }) => kind === 'pretrain')!
    const first = await startWorker('w2', 'cooperative')
    const running = async () => (await store.reader.run(pretrain.id))?.state === 'running'
    await scheduleUntil(running)
    await first.stop()
    expect((await store.reader.run(pretrain.id))?.state).toBe('queued')
    await startWorker('w3', 'succeed')
    await scheduleUntil(gridEnded(gridId))
    const run = await store.reader.run(pretrain.id)
    expect(run?.attemptList.map(({ ending, worker }) => [ending, worker])).toEqual([
      ['preempted', 'w2'],
      ['succeeded', 'w3'],
    ])
  })

  it('cancels a running run through its heartbeat', async () => {
    const { plan } = await submit('cancelled', 3)
    const pretrain = plan.runs.find(({ kind }) => kind === 'pretrain')!
    await startWorker('w4', 'cooperative')
    await scheduleUntil(async () => (await store.reader.run(pretrain.id))?.state === 'running')
    await store.control.cancel({ runId: pretrain.id })
    await scheduleUntil(async () => (await store.reader.run(pretrain.id))?.state === 'cancelled')
    const run = await store.reader.run(pretrain.id)
    expect(run?.attemptList.at(-1)).toMatchObject({ state: 'ended', ending: 'cancelled', worker: 'w4' })
  })
})
