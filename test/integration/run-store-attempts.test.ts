import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import type { AttemptEnding, AttemptRef, RunState } from '#libs/runs'
import {
  finish,
  freshDataset,
  idOf,
  idsOf,
  type LabStore,
  LEASE_MS,
  leaseRun,
  openLabStore,
  resultOf,
  submission,
  WORKER,
  waitingAttempt,
} from './fixtures/lab-store.ts'

let lab: LabStore
let store: RunStore

beforeAll(async () => {
  lab = await openLabStore(8)
  store = lab.store
})
afterAll(() => lab?.close())

/** A queued run that no other test knows. */
async function queuedRun(): Promise<string> {
  const grid = submission(await freshDataset(store))
  await store.grids.submit(grid)
  return idOf(grid, 'prepare')
}

const stateOf = async (runId: string) => (await store.reader.run(runId))!.state
const otherWorker = (id: string) => ({ ...WORKER, id })

/** As if the worker had not been heard of for longer than its lease. */
async function letExpire(ref: AttemptRef): Promise<void> {
  await lab.sql(`UPDATE attempt SET lease_until = now() - interval '1 second' WHERE id = $1`, [ref.attemptId])
}

describe('a lease', () => {
  it('goes to one of two workers that ask at once, with the run in hand', async () => {
    const runId = await queuedRun()
    const attemptId = await waitingAttempt(store, runId)
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((id) => store.attempts.lease(attemptId, otherWorker(id), LEASE_MS)),
    )
    const given = answers.filter((answer) => answer !== undefined)
    expect(given).toHaveLength(1)
    expect(given[0]).toMatchObject({
      attemptId,
      runId,
      number: 1,
      fencingToken: 1,
      upstream: [],
      dataset: { root: '/data/mimic' },
    })
    expect(await stateOf(runId)).toBe('running')
  })

  it('names the upstream runs of an evaluation with their specs, packs first', async () => {
    const grid = submission(await freshDataset(store))
    await store.grids.submit(grid)
    await finish(store, idOf(grid, 'prepare'), 'succeeded')
    await finish(store, idOf(grid, 'pretrain'), 'succeeded')
    const attemptId = await waitingAttempt(store, idOf(grid, 'evaluate'))
    const assignment = await store.attempts.lease(attemptId, WORKER, LEASE_MS)
    expect(assignment!.upstream.map(({ kind, runId }) => [kind, runId])).toEqual([
      ['prepare', idOf(grid, 'prepare')],
      ['pretrain', idOf(grid, 'pretrain')],
    ])
    expect(assignment!.upstream[1]!.spec).toEqual(grid.plan.runs.find(({ kind }) => kind === 'pretrain')!.spec)
  })

  it('of an attempt that nobody knows is refused', async () => {
    expect(await store.attempts.lease('no-such-attempt', WORKER, LEASE_MS)).toBeUndefined()
  })

  it('that ran out ends the attempt as lost, and every later word of its holder is refused', async () => {
    const runId = await queuedRun()
    const late = await leaseRun(store, runId)
    expect(await store.attempts.start(late)).toBe(true)
    await letExpire(late)
    expect(await store.scheduler.expireLeases()).toBe(1)
    const next = await leaseRun(store, runId, otherWorker('w2'))
    expect(next.fencingToken).toBe(2)

    const file = { name: 'x', sha256: 'c'.repeat(64), sizeBytes: 1 }
    expect(await store.attempts.heartbeat(late, LEASE_MS)).toMatchObject({ held: false })
    expect(await store.attempts.start(late)).toBe(false)
    expect(await store.attempts.recordMetrics(late, [{ step: 1, name: 'loss', value: 1 }])).toBe(false)
    expect(await store.attempts.recordProgress(late, 1, 2, 'steps')).toBe(false)
    expect(await store.attempts.recordCheckpoint(late, { step: 1, role: 'periodic', ...file })).toBe(false)
    expect(await store.attempts.end(late, resultOf('succeeded'))).toEqual({ accepted: false, runState: 'running' })

    const run = (await store.reader.run(runId))!
    expect(run.attemptList.map(({ ending, worker }) => [ending, worker])).toEqual([
      ['lost', 'w1'],
      [null, 'w2'],
    ])
    expect(await store.reader.metrics(runId, { limit: 10 })).toEqual([])
    expect(run.progress).toBeNull()
  })

  it('with the right attempt and another token is not held', async () => {
    const ref = await leaseRun(store, await queuedRun())
    const forged = { ...ref, fencingToken: ref.fencingToken + 1 }
    expect(await store.attempts.heartbeat(forged, LEASE_MS)).toMatchObject({ held: false })
    expect(await store.attempts.end(forged, resultOf('succeeded'))).toMatchObject({ accepted: false })
    expect(await store.attempts.heartbeat(ref, LEASE_MS)).toEqual({ held: true, desired: 'run' })
  })

  it('that a heartbeat extends in time does not expire', async () => {
    const ref = await leaseRun(store, await queuedRun())
    await letExpire(ref)
    expect(await store.attempts.heartbeat(ref, LEASE_MS)).toMatchObject({ held: true })
    expect(await store.scheduler.expireLeases()).toBe(0)
  })
})

describe('the end of an attempt', () => {
  it.each([
    ['succeeded', 'succeeded'],
    ['spec-error', 'failed'],
    ['non-finite', 'failed'],
    ['out-of-memory', 'queued'],
    ['crashed', 'queued'],
    ['lost', 'queued'],
    ['preempted', 'queued'],
    ['paused', 'queued'],
    ['cancelled', 'queued'],
  ] satisfies [AttemptEnding, RunState][])('as %s leaves the run %s', async (ending, state) => {
    const runId = await queuedRun()
    expect(await finish(store, runId, ending)).toBe(state)
    expect(await stateOf(runId)).toBe(state)
    const { attemptList } = (await store.reader.run(runId))!
    expect(attemptList.map((attempt) => attempt.ending)).toEqual(state === 'queued' ? [ending, null] : [ending])
  })

  it('counts once: the second word is refused', async () => {
    const runId = await queuedRun()
    const ref = await leaseRun(store, runId)
    const ends = await Promise.all([1, 2, 3].map(() => store.attempts.end(ref, resultOf('succeeded'))))
    expect(ends.map(({ accepted }) => accepted).sort()).toEqual([false, false, true])
    const succeeded = (await store.reader.events({ after: 0n, runId, limit: 100 })).filter(({ type }) => type === 'run.succeeded')
    expect(succeeded).toHaveLength(1)
  })

  it.each([
    ['crashed', 3],
    ['out-of-memory', 1],
    ['lost', 5],
  ] satisfies [AttemptEnding, number][])('as %s is forgiven %i times, and anew after a retry', async (ending, budget) => {
    const runId = await queuedRun()
    for (let retry = 0; retry < budget; retry++) expect(await finish(store, runId, ending)).toBe('queued')
    expect(await finish(store, runId, ending, { message: 'again' })).toBe('failed')
    expect((await store.reader.run(runId))!.message).toBe(`${ending} ${budget + 1} times, the last time: again`)
    expect(await store.control.retry({ runId })).toMatchObject({ matched: 1, changed: 1, refused: 0 })
    expect(await finish(store, runId, ending)).toBe('queued')
  })

  it('as preempted is forgiven for ever', async () => {
    const runId = await queuedRun()
    for (let time = 0; time < 8; time++) expect(await finish(store, runId, 'preempted')).toBe('queued')
  })

  it('by the loss of a third worker that computed it makes the run poison; losses of one worker do not', async () => {
    const lose = async (runId: string, worker: string) => {
      const ref = await leaseRun(store, runId, otherWorker(worker))
      await store.attempts.start(ref)
      await letExpire(ref)
      await store.scheduler.expireLeases()
    }
    const [poison, unlucky] = [await queuedRun(), await queuedRun()]
    for (const worker of ['p1', 'p2', 'p3']) await lose(poison, worker)
    for (let time = 0; time < 3; time++) await lose(unlucky, 'p4')
    expect(await store.reader.run(poison)).toMatchObject({
      state: 'failed',
      message: 'poison: 3 workers were lost while they computed it',
    })
    expect(await stateOf(unlucky)).toBe('queued')
  })

  it('of a run that is to be cancelled is its end, however it came', async () => {
    const runId = await queuedRun()
    const ref = await leaseRun(store, runId)
    await store.control.cancel({ runId })
    expect(await store.attempts.end(ref, resultOf('preempted'))).toMatchObject({ runState: 'cancelled' })
  })

  it('by a pause waits for somebody to resume it', async () => {
    const runId = await queuedRun()
    const ref = await leaseRun(store, runId)
    expect(await store.control.pause({ runId })).toMatchObject({ changed: 0, asked: 1 })
    expect(await store.attempts.end(ref, resultOf('paused'))).toMatchObject({ runState: 'paused' })
    expect(await store.control.retry({ runId })).toMatchObject({ refusals: [{ runId, state: 'paused', reason: 'wrong-state' }] })
    expect(await store.control.resume({ runId })).toMatchObject({ changed: 1 })
    expect((await leaseRun(store, runId)).fencingToken).toBe(2)
  })

  it('tells no message to the events: it may name an input file', async () => {
    const runId = await queuedRun()
    await finish(store, runId, 'spec-error', { message: 'broken image p10/file.jpg' })
    const events = await store.reader.events({ after: 0n, runId, limit: 100 })
    expect(events.map(({ type }) => type)).toContain('run.failed')
    expect(JSON.stringify(events.map(({ data }) => data))).not.toContain('file.jpg')
  })
})

describe('a run with two upstreams', () => {
  it('is queued once, when both ended at the same time', async () => {
    // Random initialisation waits for nothing, so preparation and pretraining are at work together.
    const seeds = Array.from({ length: 8 }, (_, i) => i)
    const grid = submission(await freshDataset(store), { method: ['none'], seed: seeds })
    await store.grids.submit(grid)
    const upstreams = [idOf(grid, 'prepare'), ...idsOf(grid, 'pretrain')]
    const refs = await Promise.all(upstreams.map((id) => leaseRun(store, id)))
    await Promise.all(refs.map((ref) => store.attempts.end(ref, resultOf('succeeded'))))
    const evaluations = await Promise.all(idsOf(grid, 'evaluate').map((id) => store.reader.run(id)))
    expect(evaluations.map((run) => [run!.state, run!.attempts])).toEqual(seeds.map(() => ['queued', 1]))
  })
})

describe('metrics', () => {
  it('are stored once however often they are sent, and the newest attempt speaks', async () => {
    const runId = await queuedRun()
    const points = [1, 2, 3].map((step) => ({ step, name: 'loss', value: 1 / step }))
    const first = await leaseRun(store, runId)
    await Promise.all([1, 2, 3].map(() => store.attempts.recordMetrics(first, points)))
    await store.attempts.end(first, resultOf('preempted'))
    const second = await leaseRun(store, runId)
    await store.attempts.recordMetrics(second, [{ step: 3, name: 'loss', value: 9 }])
    const rows = await store.reader.metrics(runId, { limit: 100 })
    expect(rows.map(({ step, value }) => [step, value])).toEqual([
      [1, 1],
      [2, 0.5],
      [3, 9],
    ])
    const [{ count } = { count: -1 }] = await lab.sql<{ count: number }>('SELECT count(*)::int FROM metric WHERE run_id = $1', [
      runId,
    ])
    expect(count).toBe(4)
  })
})

describe('the database', () => {
  it.each([
    [
      'a second attempt that is alive',
      'attempt_one_alive_a_run',
      `INSERT INTO attempt (id, run_id, number, state, resource_class, queue_priority) VALUES ('x', $1, 99, 'waiting', 'cpu', 1)`,
    ],
    ['an attempt that is leased to nobody', 'attempt_', `UPDATE attempt SET state = 'leased' WHERE run_id = $1`],
    ['an attempt that ended in no way', 'attempt_', `UPDATE attempt SET state = 'ended' WHERE run_id = $1`],
    ['an unknown state', 'run_state_moves', `UPDATE run SET state = 'happy' WHERE id = $1`],
    ['an end state without a time', 'run_ended_at_in_end_states', `UPDATE run SET state = 'cancelled' WHERE id = $1`],
    ['a move that no table lists', 'run_state_moves', `UPDATE run SET state = 'succeeded', ended_at = now() WHERE id = $1`],
    ['a run that runs without a worker', 'run_fits_its_attempt', `UPDATE run SET state = 'running' WHERE id = $1`],
    ['a token that falls', 'run_fencing_rises', `UPDATE run SET fencing = -1 WHERE id = $1`],
    [
      'an end that nobody gave the run',
      'run_fits_its_moved_attempt',
      `UPDATE attempt SET state = 'ended', ending = 'paused', ended_at = now() WHERE run_id = $1`,
    ],
    ['an event that is changed', 'event_only_appended', `UPDATE event SET type = 'nothing' WHERE run_id = $1`],
    [
      'an upstream failure without a root',
      'run_root_only_where_upstream_failed',
      `UPDATE run SET root_run_id = id WHERE id = $1`,
    ],
    ['a wish for a run that has no worker', 'run_desired_only_while_running', `UPDATE run SET desired = 'cancel' WHERE id = $1`],
    ['a run that waits for itself', 'edge_is_no_loop', `INSERT INTO edge VALUES ($1, $1)`],
    ['an edge to nowhere', 'edge_leads_up', `INSERT INTO edge VALUES ($1, 'nobody')`],
    ['a grid that wants a run that is not there', 'grid_run_is_known', `INSERT INTO grid_run SELECT id, $1 || 'x' FROM grid`],
    ['a run that is deleted', 'run_is_kept', `DELETE FROM run WHERE id = $1`],
  ])('refuses %s, whatever the code does', async (_what, constraint, statement) => {
    const runId = await queuedRun()
    const error = await lab.sql(statement, [runId]).catch((caught) => caught)
    expect(error.constraint).toContain(constraint)
  })
})
