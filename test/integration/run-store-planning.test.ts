/** The scheduler's planning on the real store: fair lines, limits, urgent runs, room for them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import type { RunQueue } from '#libs/runs'
import { makeRoom } from '../../apps/scheduler/src/make-room.ts'
import { LinePlanner, type LinePlannerOptions } from '../../apps/scheduler/src/plan-queue.ts'
import { freshDataset, idsOf, type LabStore, leaseRun, openLabStore, resultOf, submission, WORKER } from './fixtures/lab-store.ts'

const NO_LIMIT = Number.POSITIVE_INFINITY

/** Gives out the lowest number first. */
class NumberQueue implements RunQueue {
  readonly numbers = new Map<string, number>()
  moves = 0
  async add(messages: Parameters<RunQueue['add']>[0]) {
    for (const { attemptId, queuePriority } of messages)
      if (!this.numbers.has(attemptId)) this.numbers.set(attemptId, queuePriority)
  }
  async reprioritise(messages: Parameters<RunQueue['reprioritise']>[0]) {
    for (const { attemptId, queuePriority } of messages) {
      this.moves++
      if (this.numbers.has(attemptId)) this.numbers.set(attemptId, queuePriority)
    }
  }
  async missing() {
    return []
  }
  async counts() {
    return { waiting: this.numbers.size, active: 0 }
  }
  async close() {}
  inOrder(): string[] {
    return [...this.numbers].sort(([, a], [, b]) => a - b).map(([id]) => id)
  }
}

let lab: LabStore
let store: RunStore
let queue: NumberQueue

beforeEach(async () => {
  lab = await openLabStore()
  store = lab.store
  queue = new NumberQueue()
})
afterEach(() => lab?.close())

const planner = (over: Partial<LinePlannerOptions> = {}) =>
  new LinePlanner({
    planning: store.planning,
    queue,
    limits: { perUser: NO_LIMIT, perGrid: NO_LIMIT },
    window: 10,
    halfLifeMs: 3_600_000,
    usageEveryMs: 0,
    now: () => 0,
    ...over,
  })

/** A grid of `count` pretrainings that wait for nothing; the data set's preparation waits beside them. */
async function ready(owner: string, count: number, over: Parameters<typeof submission>[1] = {}) {
  const seeds = Array.from({ length: count }, (_, i) => i)
  const dataset = await freshDataset(store)
  const grid = submission(dataset, { name: `of ${owner}`, method: ['none'], seed: seeds, ...over }, { owner })
  const { gridId } = await store.grids.submit(grid)
  return { grid, gridId, runs: idsOf(grid, 'pretrain') }
}

async function ownersInOrder(): Promise<string[]> {
  const rows = await lab.sql<{ id: string; owner: string }>('SELECT id, owner FROM attempt')
  const owners = new Map(rows.map(({ id, owner }) => [id, owner]))
  return queue.inOrder().map((id) => owners.get(id)!)
}

const holds = async () => (await lab.sql<{ hold: string | null }>('SELECT hold FROM outbox ORDER BY id')).map(({ hold }) => hold)

describe('the line', () => {
  it('takes turns between users, however many one of them came with first', async () => {
    await ready('ada', 30)
    await ready('bob', 3, { seed: [101, 102, 103] })
    expect(await planner().plan()).toBe(10)
    expect((await ownersInOrder()).slice(0, 6).toSorted()).toEqual(['ada', 'ada', 'ada', 'bob', 'bob', 'bob'])
    const held = await holds()
    expect(held).toHaveLength(25)
    expect(new Set(held)).toEqual(new Set(['line']))
    expect((await store.reader.gauges()).outboxRows).toBe(0)
  })

  it('prefers who used less lately', async () => {
    const ada = await ready('ada', 5)
    const ref = await leaseRun(store, idsOf(ada.grid, 'prepare')[0]!)
    await lab.sql(`UPDATE attempt SET leased_at = now() - interval '50 minutes' WHERE id = $1`, [ref.attemptId])
    await store.attempts.end(ref, resultOf('succeeded'))
    await ready('bob', 4, { seed: [101, 102, 103, 104] })
    await planner().plan()
    const owners = await ownersInOrder()
    expect(owners.slice(0, 4)).toEqual(['bob', 'bob', 'bob', 'bob'])
  })

  it('moves what is in the queue when something becomes more urgent, and nothing else', async () => {
    const { gridId } = await ready('ada', 5)
    const plans = planner()
    await plans.plan()
    await plans.plan()
    expect(queue.moves).toBe(0)
    const last = queue.inOrder().at(-1)!
    const [{ run_id: runId } = { run_id: '' }] = await lab.sql<{ run_id: string }>('SELECT run_id FROM attempt WHERE id = $1', [
      last,
    ])
    await store.control.setPriority({ runId }, 10)
    await plans.plan()
    expect(queue.inOrder()[0]).toBe(last)
    expect(queue.moves).toBe(1)
    await store.control.setPriority({ gridId }, 20)
    await plans.plan()
    expect(queue.inOrder().every((id) => queue.numbers.get(id)! < 81 * 10_000)).toBe(true)
  })

  it('holds back what a limit does not allow, and says so', async () => {
    const { runs } = await ready('ada', 6)
    const plans = planner({ limits: { perUser: 2, perGrid: NO_LIMIT } })
    expect(await plans.plan()).toBe(2)
    expect(await plans.plan()).toBe(0)
    expect(new Set(await holds())).toEqual(new Set(['user-limit']))
    const [taken] = await lab.sql<{ run_id: string }>(`SELECT run_id FROM attempt WHERE offered_priority IS NOT NULL`)
    const ref = await leaseRun(store, taken!.run_id)
    expect(await plans.plan()).toBe(0)
    await store.attempts.end(ref, resultOf('succeeded'))
    expect(await plans.plan()).toBe(1)
    const waiting = await lab.sql<{ run_id: string }>(
      `SELECT a.run_id FROM attempt a JOIN outbox o ON o.attempt_id = a.id AND o.hold = 'user-limit'`,
    )
    expect(runs).toContain(waiting.find(({ run_id }) => runs.includes(run_id))!.run_id)
  })
})

describe('room for what is more urgent', () => {
  const timing = { afterMs: 0, minHeldMs: 0 }
  const desires = async () =>
    (await lab.sql<{ desired: string }>(`SELECT desired FROM run WHERE state = 'running' ORDER BY started_at`)).map(
      ({ desired }) => desired,
    )

  it('is made by the run that loses least, once, and only where no place is free', async () => {
    const { runs } = await ready('ada', 2)
    const worker = { ...WORKER, slots: 2 }
    const refs = [await leaseRun(store, runs[0]!, worker), await leaseRun(store, runs[1]!, worker)]
    await lab.sql(`UPDATE attempt SET leased_at = now() - interval '1 hour' WHERE state = 'leased'`)
    const checkpoint = { step: 1, role: 'periodic', name: 'c', sha256: 'ab'.repeat(32), sizeBytes: 1 }
    await store.attempts.recordCheckpoint(refs[1]!, checkpoint)
    await ready('bob', 1, { seed: [7], priority: 50 })
    expect(await makeRoom(store.planning, timing)).toBe(0)
    await planner({ limits: { perUser: 1, perGrid: NO_LIMIT } }).plan()
    await store.attempts.registerWorker({ ...worker, slots: 3 })
    expect(await makeRoom(store.planning, timing)).toBe(0)
    await store.attempts.registerWorker(worker)
    expect(await makeRoom(store.planning, { ...timing, afterMs: 3_600_000 })).toBe(0)
    expect(await makeRoom(store.planning, timing)).toBe(1)
    expect(await desires()).toEqual(['run', 'preempt'])
    expect(await makeRoom(store.planning, timing)).toBe(0)
    expect(await store.attempts.end(refs[1]!, resultOf('preempted'))).toMatchObject({ runState: 'queued' })
  })
})

describe('an estimate', () => {
  const sleepless = async (ref: { attemptId: string }, seconds: number) =>
    lab.sql(`UPDATE attempt SET leased_at = now() - make_interval(secs => $2) WHERE id = $1`, [ref.attemptId, seconds])

  it('says when a run should start, from what like runs took and what is ahead', async () => {
    const { grid, runs } = await ready('ada', 4)
    const [first, second, third, fourth] = runs
    const ref = await leaseRun(store, first!)
    await sleepless(ref, 100)
    await store.attempts.end(ref, resultOf('succeeded'))
    await sleepless(await leaseRun(store, second!), 30)
    await planner().plan()
    // One is at work and has about 70 s left; a run of 100 s is ahead of the last in the line.
    const asked = await Promise.all([third!, fourth!].map((id) => store.reader.why(id)))
    const starts = asked.map((why) => Math.round(why!.start!.p50 / 10)).toSorted((a, b) => a - b)
    expect(starts).toEqual([7, 17])
    expect(asked.map((why) => why!.sentence).join()).toMatch(/should start in about/)
    const evaluation = grid.plan.runs.find(({ kind, upstream }) => kind === 'evaluate' && upstream.includes(second!))!
    const why = await store.reader.why(evaluation.id)
    const pretrain = why!.waitsFor.find(({ id }) => id === second)!
    expect(Math.round(pretrain.end!.p50 / 10)).toBe(7)
    // Nothing like the preparation was ever measured.
    expect(why!.start).toBeNull()
  })

  it('and the reason are told of a run that a limit holds back', async () => {
    const { runs } = await ready('ada', 3)
    await store.attempts.registerWorker(WORKER)
    await planner({ limits: { perUser: NO_LIMIT, perGrid: 1 } }).plan()
    const sentences = await Promise.all(runs.map(async (id) => (await store.reader.why(id))!.sentence))
    expect(sentences.filter((text) => text.includes('its grid has as many runs at work as the limit allows'))).toHaveLength(2)
  })
})
