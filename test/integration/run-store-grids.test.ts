import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expandGrid, parseGridRequest } from '#libs/experiments'
import type { RunStore } from '#libs/run-store'
import type { AttemptEnding, AttemptResult, SubmitGrid } from '#libs/runs'
import * as lab from './fixtures/lab-store.ts'

const { FINGERPRINT, idOf, submission, WORKER } = lab
const START = { cursor: null, limit: 50 }

let open: lab.LabStore
let store: RunStore

beforeAll(async () => {
  open = await lab.openLabStore()
  store = open.store
})
afterAll(() => open?.close())

const freshDataset = () => lab.freshDataset(store)
const finish = (runId: string, ending: AttemptEnding, over: Partial<AttemptResult> = {}) => lab.finish(store, runId, ending, over)

const states = async (grid: SubmitGrid) => {
  const kinds = ['prepare', 'pretrain', 'evaluate'] as const
  return Promise.all(kinds.map(async (kind) => (await store.reader.run(idOf(grid, kind)))?.state))
}

describe('submitting a grid', () => {
  it('makes its runs once, queues what waits for nothing and blocks the rest', async () => {
    const grid = submission(await freshDataset())
    const made = await store.grids.submit(grid)
    expect(made).toMatchObject({ created: true, points: 1, runs: { new: 3, reused: 0, joined: 0, retried: 0 } })
    expect(made.byKind.pretrain).toEqual({ new: 1, reused: 0, joined: 0, retried: 0 })
    expect(await states(grid)).toEqual(['queued', 'blocked', 'blocked'])
    const outbox = await store.scheduler.pendingOutbox(1000)
    const attempt = (await store.reader.run(idOf(grid, 'prepare')))!.attemptList[0]!
    expect(outbox.map(({ attemptId }) => attemptId)).toContain(attempt.id)
  })

  it('gives the same grid for the same request and writes nothing', async () => {
    const grid = submission(await freshDataset())
    const first = await store.grids.submit(grid)
    const before = await store.reader.events({ after: 0n, gridId: first.gridId, limit: 1000 })
    const again = await store.grids.submit(grid)
    expect(again).toMatchObject({ gridId: first.gridId, created: false, runs: { new: 0, joined: 3 } })
    expect(await store.reader.events({ after: 0n, gridId: first.gridId, limit: 1000 })).toEqual(before)
  })

  it('makes only the new runs of a bigger grid, joining and reusing the others', async () => {
    const dataset = await freshDataset()
    const small = submission(dataset)
    await store.grids.submit(small)
    await finish(idOf(small, 'prepare'), 'succeeded')
    const bigger = await store.grids.submit(submission(dataset, { ehr: ['vanilla', 'sex'] }))
    expect(bigger).toMatchObject({ created: true, points: 2, runs: { new: 2, reused: 1, joined: 2, retried: 0 } })
    const { items } = await store.reader.runs({ gridId: bigger.gridId, state: 'queued' }, START)
    expect(items.map(({ kind }) => kind)).toEqual(['pretrain', 'pretrain'])
  })

  it('computes the same answer in a dry run and writes nothing', async () => {
    const dataset = await freshDataset()
    const preview = await store.grids.submit(
      submission(dataset, { ehr: ['sex', 'age'] }, { dryRun: true, idempotencyKey: 'dry' }),
    )
    expect(await store.reader.grid(preview.gridId)).toBeUndefined()
    expect(await store.grids.submit(submission(dataset, { ehr: ['sex', 'age'] }, { idempotencyKey: 'dry' }))).toEqual(preview)
  })

  it('never makes a run twice where overlapping grids arrive at once', async () => {
    const dataset = await freshDataset()
    const sets = ['vanilla', 'sex', 'age', 'view', 'icu', 'stay']
    const answers = await Promise.all(
      sets.map((_, i) =>
        store.grids.submit(submission(dataset, { name: `overlap ${i}`, ehr: sets.slice(i).concat(sets.slice(0, i)) })),
      ),
    )
    expect(answers.reduce((sum, { runs }) => sum + runs.new, 0)).toBe(1 + 2 * sets.length)
    for (const { runs } of answers) expect(runs.new + runs.joined).toBe(1 + 2 * sets.length)
  })

  it('refuses a key that was used with another request, and takes it again with the same', async () => {
    const dataset = await freshDataset()
    const first = await store.grids.submit(submission(dataset, {}, { idempotencyKey: 'k1' }))
    const again = await store.grids.submit(submission(dataset, {}, { idempotencyKey: 'k1' }))
    expect(again).toMatchObject({ gridId: first.gridId, created: false })
    const other = submission(dataset, { ehr: ['icu'] }, { idempotencyKey: 'k1' })
    await expect(store.grids.submit(other)).rejects.toMatchObject({ code: 'idempotency-conflict' })
    await expect(store.grids.submit({ ...other, owner: 'bob' })).resolves.toMatchObject({ created: true })
  })

  it('refuses a plan of a data set that is not registered, and writes nothing', async () => {
    const grid = submission({ name: 'nowhere', kind: 'mimic-cxr', fingerprint: FINGERPRINT })
    await expect(store.grids.submit(grid)).rejects.toMatchObject({ code: 'unknown-dataset', dataset: 'nowhere' })
    expect(await store.reader.run(idOf(grid, 'prepare'))).toBeUndefined()
  })

  it('queues a joined run earlier where the second grid is more urgent', async () => {
    const dataset = await freshDataset()
    const grid = submission(dataset)
    await store.grids.submit(grid)
    await store.grids.submit(submission(dataset, { name: 'urgent', priority: 100 }))
    await finish(idOf(grid, 'prepare'), 'succeeded')
    const attempt = (await store.reader.run(idOf(grid, 'pretrain')))!.attemptList[0]!
    const message = (await store.scheduler.pendingOutbox(10_000)).find(({ attemptId }) => attemptId === attempt.id)
    expect(message!.queuePriority).toBeLessThanOrEqual(7)
  })
})

describe('failed runs', () => {
  it('end what is new below them as upstream-failed, naming them, unless the grid retries', async () => {
    const dataset = await freshDataset()
    const grid = submission(dataset)
    await store.grids.submit(grid)
    await finish(idOf(grid, 'prepare'), 'spec-error', { message: 'no images' })
    expect(await states(grid)).toEqual(['failed', 'upstream-failed', 'upstream-failed'])
    const other = submission(dataset, { name: 'other', ehr: ['sex'] })
    const made = await store.grids.submit(other)
    expect(made.runs).toEqual({ new: 2, reused: 0, joined: 1, retried: 0 })
    expect(made.warnings.join()).toContain('failed-before')
    const why = await store.reader.why(idOf(other, 'evaluate'))
    expect(why).toMatchObject({ state: 'upstream-failed', rootCause: { id: idOf(grid, 'prepare'), message: 'no images' } })
    const retried = await store.grids.submit(submission(dataset, { name: 'other', ehr: ['sex'], retryFailed: true }))
    expect(retried).toMatchObject({ created: false, gridId: made.gridId, runs: { new: 0, retried: 3 } })
    expect(await states(other)).toEqual(['queued', 'blocked', 'blocked'])
  })

  it('are tried again on request, with what waited below them', async () => {
    const grid = submission(await freshDataset())
    await store.grids.submit(grid)
    await finish(idOf(grid, 'prepare'), 'succeeded')
    await finish(idOf(grid, 'pretrain'), 'non-finite', { message: 'the loss is not finite at step 3' })
    expect((await store.reader.why(idOf(grid, 'pretrain')))!.sentence).toBe('Failed: the loss is not finite at step 3.')
    expect(await store.control.retry({ runId: idOf(grid, 'evaluate') })).toMatchObject({ changed: 1 })
    expect(await states(grid)).toEqual(['succeeded', 'queued', 'blocked'])
    expect(await store.control.retry({ runId: idOf(grid, 'prepare') })).toMatchObject({ changed: 0, refused: 1 })
    expect(await store.control.retry({ runId: '0'.repeat(64) })).toMatchObject({ matched: 0, changed: 0 })
  })
})

describe('cancelling', () => {
  it('leaves runs alone that another live grid wants', async () => {
    const dataset = await freshDataset()
    const one = submission(dataset)
    const two = submission(dataset, { name: 'two', ehr: ['sex'] })
    const { gridId } = await store.grids.submit(one)
    const second = await store.grids.submit(two)
    const prepare = idOf(one, 'prepare')
    const refusals = [{ runId: prepare, state: 'queued', reason: 'wanted-by-another-grid' }]
    expect(await store.control.cancel({ runId: prepare })).toMatchObject({ changed: 0, refusals })
    expect(await store.control.cancel({ gridId })).toMatchObject({ matched: 3, changed: 2, asked: 0, refusals })
    expect(await states(one)).toEqual(['queued', 'cancelled', 'cancelled'])
    expect(await states(two)).toEqual(['queued', 'blocked', 'blocked'])
    expect(await store.control.cancel({ gridId })).toMatchObject({ changed: 0, asked: 0 })
    expect(await store.control.cancel({ gridId: second.gridId })).toMatchObject({ changed: 3 })
    expect((await store.reader.grid(second.gridId))!.ended).toBe(true)
    const attempt = (await store.reader.run(idOf(one, 'prepare')))!.attemptList[0]!
    expect(attempt).toMatchObject({ state: 'ended', ending: 'cancelled' })
    expect(await store.attempts.lease(attempt.id, WORKER, 1000)).toBeUndefined()
  })

  it('asks the worker of a running run, and ends what waits below it', async () => {
    const grid = submission(await freshDataset())
    await store.grids.submit(grid)
    const attempt = (await store.reader.run(idOf(grid, 'prepare')))!.attemptList[0]!
    const ref = await store.attempts.lease(attempt.id, WORKER, 60_000)
    expect(await store.control.cancel({ runId: idOf(grid, 'prepare') })).toMatchObject({ changed: 0, asked: 1 })
    expect(await store.attempts.heartbeat(ref!, 60_000)).toEqual({ held: true, desired: 'cancel' })
    await store.attempts.end(ref!, { ending: 'cancelled', message: null, artifacts: [], results: [], summary: {} })
    expect(await states(grid)).toEqual(['cancelled', 'upstream-failed', 'upstream-failed'])
  })
})

describe('reading', () => {
  it('says what a run waits for, how many are ahead of it and who could take it', async () => {
    const grid = submission(await freshDataset())
    await store.grids.submit(grid)
    await store.attempts.registerWorker({ ...WORKER, id: 'w2' })
    const queued = await store.reader.why(idOf(grid, 'prepare'))
    expect(queued).toMatchObject({ state: 'queued', waitsFor: [], runsAhead: expect.any(Number) })
    expect(queued!.workersOfClass).toBeGreaterThanOrEqual(1)
    const blocked = await store.reader.why(idOf(grid, 'pretrain'))
    expect(blocked!.waitsFor).toEqual([
      { id: idOf(grid, 'prepare'), kind: 'prepare', state: 'queued', progress: null, end: null },
    ])
    expect(blocked!.sentence).toBe(`Waits for prepare ${idOf(grid, 'prepare').slice(0, 12)} (queued).`)
    expect(await store.reader.why('0'.repeat(64))).toBeUndefined()
  })

  it('gives every point, run and grid once, page by page', async () => {
    const made = await store.grids.submit(submission(await freshDataset(), { ehr: ['all-combinations'], seed: [1, 2] }))
    const pages = async <T>(read: (cursor: string | null) => Promise<{ items: readonly T[]; nextCursor: string | null }>) => {
      const items: T[] = []
      for (let cursor: string | null = null, more = true; more; ) {
        const page = await read(cursor)
        items.push(...page.items)
        cursor = page.nextCursor
        more = cursor !== null
      }
      return items
    }
    const points = await pages((cursor) => store.reader.ledger(made.gridId, { cursor, limit: 7 }))
    expect(points.map(({ point }) => point.index)).toEqual(Array.from({ length: made.points }, (_, i) => i))
    const runs = await pages((cursor) => store.reader.runs({ gridId: made.gridId }, { cursor, limit: 10 }))
    expect(new Set(runs.map(({ id }) => id)).size).toBe(made.runs.new)
    expect(runs).toHaveLength(made.runs.new)
    const grids = await pages((cursor) => store.reader.grids({ cursor, limit: 2 }))
    expect(grids[0]!.id).toBe(made.gridId)
    expect(new Set(grids.map(({ id }) => id)).size).toBe(grids.length)
    await expect(store.reader.grids({ cursor: 'x', limit: 2 })).rejects.toMatchObject({ code: 'cursor-invalid' })
  })

  it('joins results, artifacts, metrics and progress to the points and runs that they belong to', async () => {
    const grid = submission(await freshDataset())
    const { gridId } = await store.grids.submit(grid)
    await finish(idOf(grid, 'prepare'), 'succeeded', { artifacts: [{ name: 'pack', sha256: 'c'.repeat(64), sizeBytes: 12 }] })
    await finish(idOf(grid, 'pretrain'), 'succeeded', { summary: { loss: 0.5 } })
    expect(await store.reader.results(gridId)).toEqual([])
    const attempt = (await store.reader.run(idOf(grid, 'evaluate')))!.attemptList[0]!
    const ref = (await store.attempts.lease(attempt.id, WORKER, 60_000))!
    await store.attempts.recordProgress(ref, 1, 4, 'epochs')
    await store.attempts.recordMetrics(ref, [
      { step: 1, name: 'auroc', value: 0.5 },
      { step: 1, name: 'loss', value: 2 },
      { step: 2, name: 'loss', value: 1 },
    ])
    expect((await store.reader.why(idOf(grid, 'evaluate')))!.sentence).toBe('Running, 25 % done.')
    const row = { label: 'macro', metric: 'auroc', value: 0.75, low: 0.7, high: null }
    await store.attempts.end(ref, { ending: 'succeeded', message: null, artifacts: [], results: [row], summary: {} })
    expect(await store.reader.results(gridId)).toEqual([{ ...row, state: 'succeeded', point: grid.plan.points[0] }])
    const metrics = await store.reader.metrics(idOf(grid, 'evaluate'), { limit: 1 })
    expect(metrics.map(({ step, name, value }) => [step, name, value])).toEqual([
      [1, 'auroc', 0.5],
      [1, 'loss', 2],
    ])
    const later = await store.reader.metrics(idOf(grid, 'evaluate'), { name: 'loss', afterStep: 1, limit: 10 })
    expect(later.map(({ step }) => step)).toEqual([2])
    const prepare = await store.reader.run(idOf(grid, 'prepare').slice(0, 12))
    expect(prepare).toMatchObject({ downstream: 2, artifacts: [{ name: 'pack', sizeBytes: 12 }], grids: [{ id: gridId }] })
    expect(prepare!.spec).toEqual(grid.plan.runs[0]!.spec)
  })

  it('finds a grid by id, prefix and name, the newest of that name', async () => {
    const dataset = await freshDataset()
    const first = await store.grids.submit(submission(dataset, { name: 'twice' }))
    const second = await store.grids.submit(submission(dataset, { name: 'twice', ehr: ['sex'] }))
    expect(await store.reader.resolveGrid(first.gridId)).toBe(first.gridId)
    expect(await store.reader.resolveGrid(first.gridId.slice(0, 12))).toBe(first.gridId)
    expect(await store.reader.resolveGrid('twice')).toBe(second.gridId)
    expect(await store.reader.resolveGrid('thrice')).toBeUndefined()
  })

  it('counts runs, waiting work and live workers for the gauges', async () => {
    const before = await store.reader.gauges()
    await store.grids.submit(submission(await freshDataset()))
    const after = await store.reader.gauges()
    expect(after.runs.prepare.queued).toBe(before.runs.prepare.queued + 1)
    expect(after.runs.evaluate.blocked).toBe(before.runs.evaluate.blocked + 1)
    expect(after.outboxRows).toBe(before.outboxRows + 1)
    expect(after.workersAlive.cpu).toBeGreaterThanOrEqual(1)
    expect(after.queueAgeSeconds).toBeGreaterThan(0)
    const waiting = (gauges: typeof after) => gauges.openAttempts.cpu?.waiting ?? 0
    expect(waiting(after)).toBe(waiting(before) + 1)
  })

  it('counts attempts that ended lately, and how long running pretraining is without a checkpoint', async () => {
    const grid = submission(await freshDataset())
    await store.grids.submit(grid)
    const before = await store.reader.gauges()
    await finish(idOf(grid, 'prepare'), 'succeeded')
    const after = await store.reader.gauges()
    expect(after.recentEndings.succeeded).toBe((before.recentEndings.succeeded ?? 0) + 1)
    expect(after.checkpointAgeSeconds).toBe(0)
    const attempt = (await store.reader.run(idOf(grid, 'pretrain')))!.attemptList[0]!
    const ref = (await store.attempts.lease(attempt.id, WORKER, 60_000))!
    await store.attempts.start(ref)
    await open.sql(
      "UPDATE attempt SET started_at = started_at - interval '1 hour', leased_at = leased_at - interval '1 hour', created_at = created_at - interval '1 hour' WHERE id = $1",
      [attempt.id],
    )
    expect((await store.reader.gauges()).checkpointAgeSeconds).toBeGreaterThan(3500)
    await store.attempts.end(ref, { ending: 'cancelled', message: null, artifacts: [], results: [], summary: {} })
  })
})

describe('data sets', () => {
  it('keep their contents once runs refer to them, and may move', async () => {
    const dataset = await freshDataset()
    const other = { ...dataset, fingerprint: 'b'.repeat(64), root: '/data/mimic' }
    expect(await store.datasets.register(other)).toMatchObject(other)
    await store.grids.submit(submission(other))
    await expect(store.datasets.register({ ...dataset, root: '/data/mimic' })).rejects.toMatchObject({ code: 'dataset-conflict' })
    expect(await store.datasets.register({ ...other, root: '/moved' })).toMatchObject({ root: '/moved' })
    expect(await store.datasets.dataset(other.name)).toMatchObject({ root: '/moved', fingerprint: other.fingerprint })
  })
})

describe('a grid of 10,000 points', () => {
  it('is planned once, and found again', async () => {
    const seeds = Array.from({ length: 715 }, (_, i) => i)
    const grid = submission(await freshDataset(), { ehr: ['all-combinations'], seed: seeds })
    const times: string[] = []
    const timed = async () => {
      const start = performance.now()
      const made = await store.grids.submit(grid)
      times.push(`${Math.round(performance.now() - start)} ms`)
      return made
    }
    expect(await timed()).toMatchObject({ created: true, points: 10_010, runs: { new: 20_021 } })
    expect(await timed()).toMatchObject({ created: false, runs: { new: 0, joined: 20_021 } })
    console.info(`10,010 points: first ${times[0]}, again ${times[1]}`)
  })
})

describe('the class of machines', () => {
  it('is the one that the grid asks for; preparations need no device', async () => {
    const grid = submission(await freshDataset(), { resourceClass: 'gpu-80gb' })
    await store.grids.submit(grid)
    const rows = await open.sql<{ kind: string; resource_class: string }>(
      'SELECT kind, resource_class FROM run WHERE id = ANY($1) ORDER BY level',
      [grid.plan.runs.map(({ id }) => id)],
    )
    expect(rows.map(({ kind, resource_class }) => [kind, resource_class])).toEqual([
      ['prepare', 'cpu'],
      ['pretrain', 'gpu-80gb'],
      ['evaluate', 'gpu-80gb'],
    ])
  })

  it('and transfers come after the evaluation that trained them, by level', async () => {
    const [dataset, other] = [await freshDataset(), await freshDataset()]
    const request = submission(dataset).request
    const transfer = parseGridRequest({
      ...request,
      evaluations: [{ dataset: other.name, mode: ['transfer'], transferFrom: { dataset: dataset.name } }],
    })
    const plan = expandGrid(transfer, new Map([dataset, other].map((one) => [one.name, one])))
    await store.grids.submit({ request: transfer, plan, owner: 'ada', idempotencyKey: null, dryRun: false })
    const ids = plan.runs.map(({ id }) => id)
    const levels = await open.sql<{ level: number }>('SELECT level FROM run WHERE id = ANY($1) ORDER BY level', [ids])
    expect(Math.max(...levels.map(({ level }) => level))).toBe(3)
  })
})
