/** A killed worker process: its run is taken up by another one from the last checkpoint, and ends as if nothing had happened. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { expandGrid, parseGridRequest } from '#libs/experiments'
import { createRunQueueFactory } from '#libs/queueing'
import type { RunQueue, RunQueueFactory } from '#libs/runs'
import { createLogger } from '#libs/telemetry'
import { type LabStore, openLabStore } from './fixtures/lab-store.ts'
import {
  type ChildLab,
  checkpointsOf,
  differing,
  openChildLab,
  pretrainAssignment,
  runChild,
  TINY_PRETRAIN,
  TINY_STEPS,
} from './fixtures/real-child.ts'

const MAIN = fileURLToPath(new URL('../../apps/worker/src/main.ts', import.meta.url))
const KILL_AT = 20

let files: ChildLab
let lab: LabStore
let factory: RunQueueFactory
let queue: RunQueue
const workers: ChildProcess[] = []

beforeAll(async () => {
  files = await openChildLab()
  lab = await openLabStore()
  factory = await createRunQueueFactory(lab.url, { role: 'producer', logger: createLogger({ service: 'test', level: 'silent' }) })
  queue = factory.queue()
})
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL')
  await Promise.all(workers.map((worker) => worker.exitCode ?? worker.signalCode ?? once(worker, 'exit')))
  await factory?.close()
  await lab?.close()
  await files?.close()
})

function startWorker(): ChildProcess {
  const worker = spawn(process.execPath, ['--import', 'tsx', MAIN], {
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: lab.url,
      QUEUE_URL: lab.url,
      OBJECT_STORE_URL: files.storeUrl,
      ENGINE: 'onnx',
      ENGINE_THREADS: '1',
      HEARTBEAT_MS: '500',
      LEASE_MS: '5000',
      CHECKPOINT_EVERY_MS: '1',
      LOG_LEVEL: 'fatal',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  workers.push(worker)
  return worker
}

/** The scheduler's part until `reached`: hands over what became runnable, and ends the leases that ran out. */
async function scheduleUntil(reached: () => Promise<boolean>): Promise<void> {
  const { scheduler } = lab.store
  const never = new AbortController().signal
  while (!(await reached())) {
    await scheduler.expireLeases()
    const rows = await scheduler.pendingOutbox(100)
    await queue.add(rows)
    await scheduler.confirmOutbox(rows.map(({ id }) => id))
    if (rows.length === 0) await scheduler.waitForOutbox(50, never)
  }
}

/** Of the newest periodic checkpoint; from the keys alone, because the child collects while this looks. */
async function committedStep(runId: string): Promise<number> {
  const steps = [0]
  for await (const { key } of files.store.list(`runs/${runId}/checkpoints/`)) {
    const [, step] = /(\d+)\/periodic\.manifest\.json$/.exec(key) ?? []
    if (step) steps.push(Number(step))
  }
  return Math.max(...steps)
}

it('ends with the weights of an undisturbed run, bit for bit, after its worker was killed with SIGKILL', async () => {
  const { dataset } = files
  await lab.store.datasets.register(dataset)
  const request = parseGridRequest({
    name: 'killed',
    preset: 'tiny-cpu',
    dataset: dataset.name,
    ehr: ['sex'],
    seed: [21],
    overrides: { pretrain: TINY_PRETRAIN, prepare: { sidePx: 64 }, evaluate: { resizePx: 37, epochs: 1 } },
    evaluations: [{ mode: ['linear-cached'], labels: ['sex'] }],
  })
  const plan = expandGrid(request, new Map([[dataset.name, dataset]]))
  await lab.store.grids.submit({ request, plan, owner: 'test', idempotencyKey: null, dryRun: false })
  const runOf = (kind: string) => plan.runs.find((run) => run.kind === kind)!
  const pretrain = runOf('pretrain')
  const stateOf = async (id: string) => (await lab.store.reader.run(id))?.state

  const first = startWorker()
  await scheduleUntil(async () => (await committedStep(pretrain.id)) >= KILL_AT)
  first.kill('SIGKILL')
  startWorker()
  await scheduleUntil(async () => (await stateOf(pretrain.id)) === 'succeeded')

  const run = await lab.store.reader.run(pretrain.id)
  expect(run?.attemptList.map(({ ending }) => ending)).toEqual(['lost', 'succeeded'])
  const resumedFrom = Number(run?.summary.resumedFromStep)
  expect(resumedFrom).toBeGreaterThanOrEqual(KILL_AT)
  expect(resumedFrom).toBeLessThan(TINY_STEPS)
  console.info(`worker killed after step ${KILL_AT}, its run resumed from ${resumedFrom} of ${TINY_STEPS}`)

  const { spec } = pretrain
  if (spec.kind !== 'pretrain' || spec.method !== 'msn') throw new Error('the plan has another pretraining')
  const undisturbed = 'ab'.repeat(32)
  const upstream = [{ runId: runOf('prepare').id, kind: 'prepare', pretrain: null } as const]
  const whole = await runChild(files.storeUrl, pretrainAssignment(undisturbed, spec, { upstream }))
  expect(whole.exit.code, whole.why).toBe(0)
  for (const role of ['best', 'final'] as const) {
    const expected = await checkpointsOf(files.store, undisturbed).load(role)
    expect(differing(expected, await checkpointsOf(files.store, pretrain.id).load(role)), role).toEqual([])
  }
}, 180_000)
