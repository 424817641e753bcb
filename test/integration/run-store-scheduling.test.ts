/** The scheduler's side of the store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import {
  finish,
  freshDataset,
  idOf,
  type LabStore,
  LEASE_MS,
  leaseRun,
  openLabStore,
  submission,
  waitingAttempt,
} from './fixtures/lab-store.ts'

const NEVER = new AbortController().signal
/** Longer than a test may take: who waits this long fails. */
const TOO_LONG_MS = 600_000

let lab: LabStore
let store: RunStore

beforeAll(async () => {
  lab = await openLabStore()
  store = lab.store
})
afterAll(() => lab?.close())

async function queuedRun(): Promise<string> {
  const grid = submission(await freshDataset(store))
  await store.grids.submit(grid)
  return idOf(grid, 'prepare')
}

const pendingIds = async () => (await store.scheduler.pendingOutbox(10_000)).map(({ attemptId }) => attemptId)
const lostIds = async () => (await store.scheduler.waitingAttempts(10_000)).map(({ attemptId }) => attemptId)

async function confirmAll(): Promise<void> {
  await store.scheduler.confirmOutbox((await store.scheduler.pendingOutbox(10_000)).map(({ id }) => id))
}

describe('the outbox', () => {
  it('gives a row again until it is confirmed; then the attempt may be looked for in the queue', async () => {
    const attemptId = await waitingAttempt(store, await queuedRun())
    expect(await pendingIds()).toContain(attemptId)
    expect(await pendingIds()).toContain(attemptId)
    expect(await lostIds()).not.toContain(attemptId)
    await confirmAll()
    expect(await pendingIds()).toEqual([])
    expect(await lostIds()).toContain(attemptId)
  })

  it('drops a row whose attempt a worker took already', async () => {
    const runId = await queuedRun()
    const attemptId = await waitingAttempt(store, runId)
    await leaseRun(store, runId)
    expect(await pendingIds()).not.toContain(attemptId)
    expect(await lostIds()).not.toContain(attemptId)
  })

  it('holds a crashed run back for a while, and a preempted one not at all', async () => {
    const [crashed, preempted] = [await queuedRun(), await queuedRun()]
    await finish(store, crashed, 'crashed')
    await finish(store, preempted, 'preempted')
    const again = await waitingAttempt(store, crashed)
    // The back-off may be over on a slow machine: it is set far away to see that it counts.
    await lab.sql(`UPDATE outbox SET not_before = now() + interval '1 hour' WHERE attempt_id = $1`, [again])
    expect(await pendingIds()).not.toContain(again)
    expect(await lostIds()).not.toContain(again)
    expect(await pendingIds()).toContain(await waitingAttempt(store, preempted))
    const [{ wait } = { wait: 0 }] = await lab.sql<{ wait: number }>(
      'SELECT EXTRACT(EPOCH FROM not_before - created_at)::float8 AS wait FROM attempt WHERE id = $1',
      [again],
    )
    expect(wait).toBeGreaterThanOrEqual(1)
    expect(wait).toBeLessThan(60)
  })

  it('looks for every waiting attempt in turn, however few it takes at a time', async () => {
    await confirmAll()
    const runs = await Promise.all([queuedRun(), queuedRun(), queuedRun()])
    await confirmAll()
    const all = new Set(await lostIds())
    for (const run of runs) expect(all).toContain(await waitingAttempt(store, run))
    const inTurn = new Set<string>()
    for (let turn = 0; turn < all.size; turn++) {
      for (const { attemptId } of await store.scheduler.waitingAttempts(1)) inTurn.add(attemptId)
    }
    expect(inTurn).toEqual(all)
  })
})

describe('waiting', () => {
  it('ends when work is announced', async () => {
    const waited = store.scheduler.waitForOutbox(TOO_LONG_MS, NEVER)
    const event = store.reader.waitForEvent(TOO_LONG_MS, NEVER)
    await queuedRun()
    await Promise.all([waited, event])
  })

  it('misses nothing that was announced between reading and waiting', async () => {
    const heard = store.reader.waitForEvent(TOO_LONG_MS, NEVER)
    await queuedRun()
    // Both were announced by one transaction, on one session: now the outbox's notification has come, and nobody waited for it.
    await heard
    await store.scheduler.waitForOutbox(TOO_LONG_MS, NEVER)
  })

  it('ends when it is given up, and goes on after the session broke', async () => {
    const giveUp = new AbortController()
    const given = store.reader.waitForEvent(TOO_LONG_MS, giveUp.signal)
    giveUp.abort()
    await given
    const broken = store.reader.waitForEvent(TOO_LONG_MS, NEVER)
    await lab.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
    )
    await broken
    const again = store.reader.waitForEvent(TOO_LONG_MS, NEVER)
    await queuedRun()
    await again
  })
})

describe('leadership', () => {
  it('belongs to one at a time, and passes on when it is given back or its session dies', async () => {
    const first = await store.scheduler.acquireLeadership()
    expect(first).toBeDefined()
    expect(await store.scheduler.acquireLeadership()).toBeUndefined()
    await first!.release()
    const second = await store.scheduler.acquireLeadership()
    expect(second).toBeDefined()
    await lab.sql(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
    await second!.lost
    const third = await store.scheduler.acquireLeadership()
    expect(third).toBeDefined()
    await third!.release()
  })
})

describe('the sweep over leases', () => {
  it('spares a lease that a heartbeat extended while the sweep waited for the run', async () => {
    const runId = await queuedRun()
    const ref = await leaseRun(store, runId)
    await lab.sql(`UPDATE attempt SET lease_until = now() - interval '1 second' WHERE id = $1`, [ref.attemptId])
    await lab.sql('BEGIN')
    await lab.sql('SELECT FROM run WHERE id = $1 FOR UPDATE', [runId])
    const sweep = store.scheduler.expireLeases()
    const blocked = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    while ((await lab.sql(blocked)).length === 0) await lab.sql('SELECT pg_stat_clear_snapshot()')
    expect(await store.attempts.heartbeat(ref, LEASE_MS)).toMatchObject({ held: true })
    await lab.sql('COMMIT')
    expect(await sweep).toBe(0)
    expect((await store.reader.run(runId))!.state).toBe('running')
  })
})
