/** What people do to runs and grids, against a real database. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import type { SubmitGrid } from '#libs/runs'
import {
  finish,
  freshDataset,
  idOf,
  idsOf,
  type LabStore,
  leaseRun,
  openLabStore,
  resultOf,
  submission,
  waitingAttempt,
} from './fixtures/lab-store.ts'

let lab: LabStore
let store: RunStore

beforeAll(async () => {
  lab = await openLabStore()
  store = lab.store
})
afterAll(() => lab?.close())

const stateOf = async (runId: string) => (await store.reader.run(runId))!.state
/** Of prepare, pretrain and evaluate. */
const states = async (grid: SubmitGrid) => Promise.all(grid.plan.runs.map(({ id }) => stateOf(id)))
const eventTypes = async (runId: string) => (await store.reader.events({ after: 0n, runId, limit: 100 })).map(({ type }) => type)

async function submitted(input: Parameters<typeof submission>[1] = {}) {
  const dataset = await freshDataset(store)
  const grid = submission(dataset, input)
  const { gridId } = await store.grids.submit(grid)
  return { dataset, grid, gridId }
}

describe('pausing', () => {
  it('a grid holds what did not run yet; resuming it goes on where it was', async () => {
    const { grid, gridId } = await submitted()
    const attempt = await waitingAttempt(store, idOf(grid, 'prepare'))
    expect(await store.control.pause({ gridId })).toMatchObject({ matched: 3, changed: 3, asked: 0, refused: 0 })
    expect(await states(grid)).toEqual(['paused', 'paused', 'paused'])
    expect((await store.scheduler.pendingOutbox(10_000)).map(({ attemptId }) => attemptId)).not.toContain(attempt)
    expect(await store.control.resume({ gridId })).toMatchObject({ changed: 3 })
    expect(await states(grid)).toEqual(['queued', 'blocked', 'blocked'])
    await finish(store, idOf(grid, 'prepare'), 'succeeded')
    expect(await states(grid)).toEqual(['succeeded', 'queued', 'blocked'])
  })

  it('asks the worker of a running run, and what it holds below waits on', async () => {
    const { grid } = await submitted()
    const prepare = idOf(grid, 'prepare')
    const ref = await leaseRun(store, prepare)
    expect(await store.control.pause({ runId: prepare })).toMatchObject({ changed: 0, asked: 1 })
    expect(await store.attempts.heartbeat(ref, 60_000)).toEqual({ held: true, desired: 'pause' })
    expect(await store.attempts.end(ref, resultOf('paused'))).toMatchObject({ runState: 'paused' })
    expect(await states(grid)).toEqual(['paused', 'blocked', 'blocked'])
    expect(await eventTypes(prepare)).toContain('run.pause-requested')
  })

  it('survives the loss of the worker that was asked', async () => {
    const { grid } = await submitted()
    const ref = await leaseRun(store, idOf(grid, 'prepare'))
    await store.control.pause({ runId: idOf(grid, 'prepare') })
    await lab.sql(`UPDATE attempt SET lease_until = now() - interval '1 hour' WHERE id = $1`, [ref.attemptId])
    await store.scheduler.expireLeases()
    expect(await stateOf(idOf(grid, 'prepare'))).toBe('paused')
  })

  it('that is withdrawn in time leaves the run at work, and one that came through is no loss', async () => {
    const { grid } = await submitted()
    const runId = idOf(grid, 'prepare')
    const ref = await leaseRun(store, runId)
    await store.control.pause({ runId })
    expect(await store.control.resume({ runId })).toMatchObject({ changed: 0, asked: 1 })
    expect((await store.attempts.heartbeat(ref, 60_000)).desired).toBe('run')
    expect(await store.attempts.end(ref, resultOf('paused'))).toMatchObject({ runState: 'queued' })
  })

  it('does not weaken a cancellation', async () => {
    const { grid } = await submitted()
    const runId = idOf(grid, 'prepare')
    const ref = await leaseRun(store, runId)
    await store.control.cancel({ runId })
    expect(await store.control.pause({ runId })).toMatchObject({ asked: 0 })
    expect((await store.attempts.heartbeat(ref, 60_000)).desired).toBe('cancel')
  })

  it('leaves alone what another live grid wants, until that one is paused too', async () => {
    const { dataset, grid, gridId } = await submitted()
    const other = submission(dataset, { name: 'other', ehr: ['sex'] })
    const second = await store.grids.submit(other)
    const prepare = idOf(grid, 'prepare')
    expect(await store.control.pause({ gridId })).toMatchObject({
      changed: 2,
      refusals: [{ runId: prepare, state: 'queued', reason: 'wanted-by-another-grid' }],
    })
    expect(await store.control.pause({ gridId: second.gridId })).toMatchObject({ changed: 3, refused: 0 })
    expect(await stateOf(prepare)).toBe('paused')
  })

  it('ends for a run that a new grid wants', async () => {
    const { dataset, grid, gridId } = await submitted()
    await store.control.pause({ gridId })
    await store.grids.submit(submission(dataset, { name: 'later', ehr: ['sex'] }))
    expect(await states(grid)).toEqual(['queued', 'paused', 'paused'])
  })

  it('does not hide that an upstream failed', async () => {
    const { grid } = await submitted()
    await store.control.pause({ filter: { runIds: idsOf(grid, 'evaluate') } })
    await finish(store, idOf(grid, 'prepare'), 'spec-error', { message: 'no images' })
    expect(await states(grid)).toEqual(['failed', 'upstream-failed', 'upstream-failed'])
  })
})

describe('a selection', () => {
  it('acts on the runs that all its conditions fit, and names those that it refuses', async () => {
    const { grid, gridId } = await submitted({ method: ['none'], seed: [1, 2, 3] })
    const [first, second, third] = idsOf(grid, 'pretrain')
    await finish(store, first!, 'succeeded')
    const outcome = await store.control.cancel({ filter: { gridId, kind: 'pretrain' } })
    expect(outcome).toEqual({
      matched: 3,
      changed: 2,
      asked: 0,
      refused: 1,
      refusals: [{ runId: first, state: 'succeeded', reason: 'wrong-state' }],
    })
    expect(await Promise.all([second!, third!].map(stateOf))).toEqual(['cancelled', 'cancelled'])
    const below = (await store.reader.runs({ gridId, state: 'upstream-failed' }, { cursor: null, limit: 10 })).items
    expect(below).toHaveLength(2)
    expect(await store.control.retry({ filter: { gridId, state: 'cancelled' } })).toMatchObject({ matched: 2, changed: 2 })
    expect((await store.reader.runs({ gridId, state: 'upstream-failed' }, { cursor: null, limit: 10 })).items).toEqual([])
  })

  it('that fits nothing changes nothing', async () => {
    const nothing = { matched: 0, changed: 0, asked: 0, refused: 0, refusals: [] }
    const nobody = { gridId: '0'.repeat(64) }
    expect(await store.control.pause(nobody)).toEqual(nothing)
    expect(await store.control.resume(nobody)).toEqual(nothing)
    expect(await store.control.cancel(nobody)).toEqual(nothing)
    expect(await store.control.retry(nobody)).toEqual(nothing)
    expect(await store.control.setPriority(nobody, 1)).toEqual(nothing)
    expect(await store.control.pause({ filter: { runIds: [] } })).toEqual(nothing)
  })
})

describe('a priority', () => {
  const placeOf = async (runId: string) => {
    const [row] = await lab.sql<{ queue_priority: number; outbox: number }>(
      `SELECT a.queue_priority, o.queue_priority AS outbox FROM attempt a JOIN outbox o ON o.attempt_id = a.id
       WHERE a.run_id = $1 AND a.state = 'waiting'`,
      [runId],
    )
    return row!
  }

  it('moves attempts that wait already, and what a raised run waits for', async () => {
    const { grid } = await submitted()
    const before = await placeOf(idOf(grid, 'prepare'))
    await store.control.setPriority({ runId: idOf(grid, 'evaluate') }, 50)
    const after = await placeOf(idOf(grid, 'prepare'))
    expect(after.queue_priority).toBeLessThan(before.queue_priority)
    expect(after.outbox).toBe(after.queue_priority)
  })

  it('of a grid counts as far as no other live grid asks for more', async () => {
    const { dataset, grid, gridId } = await submitted()
    await store.grids.submit(submission(dataset, { name: 'urgent', ehr: ['sex'], priority: 70 }))
    const shared = await placeOf(idOf(grid, 'prepare'))
    expect(shared.outbox).toBe((101 - 70) * 4 + 3)
    expect(await store.control.setPriority({ gridId }, -20)).toMatchObject({ matched: 3, changed: 2 })
    expect(await placeOf(idOf(grid, 'prepare'))).toEqual(shared)
  })
})

describe('an attempt', () => {
  it('that ran out of memory is followed by one with half the images at once, on and on', async () => {
    const { grid } = await submitted()
    await finish(store, idOf(grid, 'prepare'), 'succeeded')
    const runId = idOf(grid, 'pretrain')
    const { spec } = (await store.reader.run(runId))!
    const batch = spec.kind === 'pretrain' && 'batch' in spec ? spec.batch : Number.NaN
    await finish(store, runId, 'out-of-memory')
    const attempt = await store.attempts.lease(await waitingAttempt(store, runId), { ...WORKER_OF_TEST }, 60_000)
    expect(attempt!.microBatch).toBe(batch / 2)
    await store.attempts.end(attempt!, resultOf('preempted'))
    const attempts = (await store.reader.run(runId))!.attemptList
    expect(attempts.map(({ microBatch }) => microBatch)).toEqual([null, batch / 2, batch / 2])
  })

  it('starts once, however often the word is sent', async () => {
    const { grid } = await submitted()
    const runId = idOf(grid, 'prepare')
    const ref = await leaseRun(store, runId)
    expect(await Promise.all([1, 2, 3].map(() => store.attempts.start(ref)))).toEqual([true, true, true])
    expect((await eventTypes(runId)).filter((type) => type === 'attempt.started')).toHaveLength(1)
    expect(await store.attempts.start({ ...ref, fencingToken: ref.fencingToken + 1 })).toBe(false)
  })

  it('is announced a wish without waiting for its heartbeat', async () => {
    const { grid } = await submitted()
    await leaseRun(store, idOf(grid, 'prepare'))
    const never = new AbortController()
    const woken = store.attempts.waitForWish(600_000, never.signal)
    await store.control.cancel({ runId: idOf(grid, 'prepare') })
    await woken
  })
})

const WORKER_OF_TEST = { id: 'w-control', hostname: 'h', resourceClass: 'cpu', engine: 'onnx', version: '1', slots: 2 }

describe('operators see', () => {
  it('the workers, what each works on, and which takes no more', async () => {
    const { grid } = await submitted()
    const attemptId = await waitingAttempt(store, idOf(grid, 'prepare'))
    await store.attempts.lease(attemptId, WORKER_OF_TEST, 60_000)
    await store.attempts.registerWorker({ ...WORKER_OF_TEST, id: 'w-sick', draining: 'the GPU is broken' })
    const workers = await store.workers.workers()
    expect(workers.find(({ id }) => id === 'w-control')).toMatchObject({
      slots: 2,
      alive: true,
      draining: null,
      attempts: [{ attemptId, runId: idOf(grid, 'prepare') }],
    })
    expect(workers.find(({ id }) => id === 'w-sick')).toMatchObject({ draining: 'the GPU is broken', attempts: [] })
  })

  it('a long series in buckets, each step by its newest attempt', async () => {
    const { grid } = await submitted()
    const runId = idOf(grid, 'prepare')
    const points = Array.from({ length: 100 }, (_, step) => ({ step, name: 'loss', value: step }))
    const first = await leaseRun(store, runId)
    await store.attempts.recordMetrics(first, points)
    await store.attempts.end(first, resultOf('preempted'))
    const second = await leaseRun(store, runId)
    await store.attempts.recordMetrics(second, [
      { step: 99, name: 'loss', value: -1 },
      { step: 3, name: 'stepSeconds', value: 0.5 },
    ])
    const series = await store.series.series(runId, { name: 'loss', buckets: 4 })
    expect(series.map(({ fromStep, toStep, count }) => [fromStep, toStep, count])).toEqual([
      [0, 24, 25],
      [25, 49, 25],
      [50, 74, 25],
      [75, 99, 25],
    ])
    expect(series[0]).toMatchObject({ min: 0, max: 24, mean: 12 })
    expect(series[3]).toMatchObject({ min: -1, max: 98 })
    expect(await store.series.series(runId, { name: 'loss', buckets: 50, fromStep: 98 })).toHaveLength(2)
    expect(await store.series.metricNames(runId)).toEqual(['loss', 'stepSeconds'])
    expect(await store.series.stepTimes(runId)).toEqual({ steps: 1, mean: 0.5, p50: 0.5, p90: 0.5 })
  })

  it('what collection may not touch', async () => {
    const { grid, gridId } = await submitted()
    const sha256 = 'ab'.repeat(32)
    const artifact = { name: 'pack/index', sha256, sizeBytes: 3 }
    await finish(store, idOf(grid, 'prepare'), 'succeeded', { artifacts: [artifact] })
    const ref = await leaseRun(store, idOf(grid, 'pretrain'))
    await store.attempts.recordCheckpoint(ref, { step: 4, role: 'periodic', name: 'checkpoints/4', sha256, sizeBytes: 3 })
    const ids = [idOf(grid, 'prepare'), idOf(grid, 'pretrain')]
    const of = async () => new Map((await store.references.references([...ids, 'f'.repeat(64)])).map((one) => [one.runId, one]))
    const before = await of()
    expect(before.size).toBe(2)
    expect(before.get(ids[0]!)).toMatchObject({ live: false, wanted: true, names: ['pack/index'] })
    expect(before.get(ids[1]!)).toMatchObject({ live: true, wanted: true, names: ['checkpoints/4'] })
    await store.control.cancel({ gridId })
    expect((await of()).get(ids[0]!)).toMatchObject({ wanted: false })
  })

  it('API keys by hash until they are revoked, and an audit trail that nobody changes', async () => {
    const hash = 'cd'.repeat(32)
    const key = await store.apiKeys.create({ id: 'k1', name: 'laptop', owner: 'ada', role: 'submit', hash })
    expect(await store.apiKeys.findByHash(hash)).toEqual(key)
    await store.apiKeys.touch('k1')
    expect((await store.apiKeys.list())[0]!.lastUsedAt).toBeInstanceOf(Date)
    await expect(store.apiKeys.create({ id: 'k2', name: 'again', owner: 'eve', role: 'admin', hash })).rejects.toThrow()
    expect(await store.apiKeys.revoke('k1')).toBe(true)
    expect(await store.apiKeys.revoke('k1')).toBe(false)
    expect(await store.apiKeys.findByHash(hash)).toBeUndefined()
    await store.audit.record({ actor: 'ada', action: 'key.create', subject: 'k1', data: { role: 'submit' } })
    await store.audit.record({ actor: 'eve', action: 'run.cancel', subject: 'x', data: {} })
    const { items } = await store.audit.page({ actor: 'ada' }, { cursor: null, limit: 10 })
    expect(items).toMatchObject([{ action: 'key.create', subject: 'k1', data: { role: 'submit' } }])
    const error = await lab.sql(`DELETE FROM audit_event`).catch((caught) => caught)
    expect(error.constraint).toBe('audit_event_only_appended')
  })
})
