/** The scheduler's loop on the real store; the queue is a list that a test can lose or break. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import type { RunQueue } from '#libs/runs'
import { createLogger } from '#libs/telemetry'
import { runScheduler, type SchedulerTiming, type SharePolicy } from '../../apps/scheduler/src/scheduler.ts'
import {
  finish,
  freshDataset,
  idOf,
  type LabStore,
  leaseRun,
  openLabStore,
  submission,
  waitingAttempt,
} from './fixtures/lab-store.ts'

const TIMING: SchedulerTiming = {
  outboxPollMs: 60_000,
  leaseSweepMs: 50,
  requeueSweepMs: 50,
  leadershipRetryMs: 50,
  preemptSweepMs: 50,
}
const NO_LIMIT = Number.POSITIVE_INFINITY
const SHARE: SharePolicy = {
  halfLifeMs: 3_600_000,
  limits: { perUser: NO_LIMIT, perGrid: NO_LIMIT },
  window: 256,
  preemptAfterMs: null,
  preemptMinHeldMs: 0,
}
const logger = createLogger({ service: 'test', level: 'silent' })

/** Jobs by attempt id. `isAway`: as a server that cannot be reached. */
class ListQueue implements RunQueue {
  readonly jobs = new Set<string>()
  isAway = false
  refused = 0
  readonly #added: (() => void)[] = []

  async add(messages: readonly { readonly attemptId: string }[]): Promise<void> {
    if (this.isAway) {
      this.refused++
      this.#tell()
      throw new Error('the queue is away')
    }
    for (const { attemptId } of messages) this.jobs.add(attemptId)
    this.#tell()
  }
  async reprioritise(): Promise<void> {}
  async missing(messages: readonly { readonly attemptId: string }[]): Promise<readonly string[]> {
    return messages.map(({ attemptId }) => attemptId).filter((id) => !this.jobs.has(id))
  }
  async counts() {
    return { waiting: this.jobs.size, active: 0 }
  }
  async close(): Promise<void> {}

  /** Resolves when `reached` holds; asked after each call of `add`. */
  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#added.push(resolve))
  }
  #tell(): void {
    for (const tell of this.#added.splice(0)) tell()
  }
}

let lab: LabStore
let store: RunStore
const running: { stop: AbortController; ended: Promise<void> }[] = []

beforeAll(async () => {
  lab = await openLabStore()
  store = lab.store
})
afterEach(() => stopAll())
afterAll(() => lab?.close())

async function stopAll(): Promise<void> {
  await Promise.all(
    running.splice(0).map(({ stop, ended }) => {
      stop.abort()
      return ended
    }),
  )
}

function schedule(queue: RunQueue, timing: Partial<SchedulerTiming> = {}): { stop: AbortController; ended: Promise<void> } {
  const stop = new AbortController()
  const started = {
    stop,
    ended: runScheduler(
      { store: store.scheduler, planning: store.planning, queue, share: SHARE, timing: { ...TIMING, ...timing }, logger },
      stop.signal,
    ),
  }
  running.push(started)
  return started
}

async function queuedRun(): Promise<{ runId: string; attemptId: string }> {
  const grid = submission(await freshDataset(store))
  await store.grids.submit(grid)
  const runId = idOf(grid, 'prepare')
  return { runId, attemptId: await waitingAttempt(store, runId) }
}

describe('the scheduler', () => {
  it('hands over what waited before it came, and what becomes runnable while it leads', async () => {
    const before = await queuedRun()
    const queue = new ListQueue()
    schedule(queue)
    await queue.until(() => queue.jobs.has(before.attemptId))
    // The poll takes a minute: only the notification can be in time.
    const after = await queuedRun()
    await queue.until(() => queue.jobs.has(after.attemptId))
  })

  it('adds again what the queue lost, but nothing that a worker has', async () => {
    const [waits, taken] = [await queuedRun(), await queuedRun()]
    const queue = new ListQueue()
    schedule(queue)
    await queue.until(() => queue.jobs.has(waits.attemptId) && queue.jobs.has(taken.attemptId))
    await leaseRun(store, taken.runId)
    queue.jobs.clear()
    await queue.until(() => queue.jobs.has(waits.attemptId))
    expect(queue.jobs).not.toContain(taken.attemptId)
  })

  it('loses nothing while the queue is away', async () => {
    const { attemptId } = await queuedRun()
    const queue = new ListQueue()
    queue.isAway = true
    // The search for lost jobs would make good what the outbox forgot.
    schedule(queue, { requeueSweepMs: 60_000 })
    await queue.until(() => queue.refused > 1)
    queue.isAway = false
    await queue.until(() => queue.jobs.has(attemptId))
  })

  it('ends leases that ran out, and gives their runs to others', async () => {
    const { runId } = await queuedRun()
    const ref = await leaseRun(store, runId)
    const queue = new ListQueue()
    schedule(queue, { outboxPollMs: 100 })
    await lab.sql(`UPDATE attempt SET lease_until = now() - interval '1 second' WHERE id = $1`, [ref.attemptId])
    while ((await store.reader.run(runId))!.state !== 'queued') {
      await store.reader.waitForEvent(1000, new AbortController().signal)
    }
    // A second later: a loss holds the run back, and nothing announces the end of that.
    const next = await waitingAttempt(store, runId)
    await queue.until(() => queue.jobs.has(next))
  })

  it('unblocks what waited for a run that ended', async () => {
    const grid = submission(await freshDataset(store))
    await store.grids.submit(grid)
    const queue = new ListQueue()
    schedule(queue)
    await finish(store, idOf(grid, 'prepare'), 'succeeded')
    const next = await waitingAttempt(store, idOf(grid, 'pretrain'))
    await queue.until(() => queue.jobs.has(next))
  })

  it('works alone: a second one takes over when the first stops', async () => {
    const [first, second] = [new ListQueue(), new ListQueue()]
    const leader = schedule(first)
    const one = await queuedRun()
    await first.until(() => first.jobs.has(one.attemptId))
    schedule(second)
    const two = await queuedRun()
    await first.until(() => first.jobs.has(two.attemptId))
    expect(second.jobs.size).toBe(0)
    leader.stop.abort()
    await leader.ended
    const three = await queuedRun()
    await second.until(() => second.jobs.has(three.attemptId))
    expect(first.jobs).not.toContain(three.attemptId)
  })

  it('leads again after the database ended its session', async () => {
    const queue = new ListQueue()
    schedule(queue)
    const one = await queuedRun()
    await queue.until(() => queue.jobs.has(one.attemptId))
    const leaders = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 7270740
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
    const [first] = await lab.sql<{ pid: number }>(leaders)
    await lab.sql('SELECT pg_terminate_backend($1)', [first!.pid])
    const another = async () => (await lab.sql<{ pid: number }>(leaders)).some(({ pid }) => pid !== first!.pid)
    while (!(await another())) await store.scheduler.waitForOutbox(20, new AbortController().signal)
    const two = await queuedRun()
    await queue.until(() => queue.jobs.has(two.attemptId))
  })
})
