/** Everybody at once: submissions, workers, cancellations and sweeps; the graph must be whole afterwards. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import type { AttemptEnding } from '#libs/runs'
import {
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
} from './fixtures/lab-store.ts'

let lab: LabStore
let store: RunStore

beforeAll(async () => {
  lab = await openLabStore(10)
  store = lab.store
})
afterAll(() => lab?.close())

/** Each row is a contradiction, by the rule that it breaks. */
const CONTRADICTIONS = `
  SELECT 'queued without an attempt that waits' AS rule, id FROM run r WHERE state = 'queued'
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.run_id = r.id AND a.state = 'waiting')
  UNION ALL SELECT 'an attempt that waits for a run that is not queued', r.id FROM attempt a JOIN run r ON r.id = a.run_id
    WHERE a.state = 'waiting' AND r.state <> 'queued'
  UNION ALL SELECT 'held by a worker, but not running', r.id FROM attempt a JOIN run r ON r.id = a.run_id
    WHERE a.state IN ('leased', 'running') AND r.state <> 'running'
  UNION ALL SELECT 'running without a worker', id FROM run r WHERE state = 'running'
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.run_id = r.id AND a.state IN ('leased', 'running'))
  UNION ALL SELECT 'blocked by nothing', id FROM run r WHERE state = 'blocked'
    AND NOT EXISTS (SELECT 1 FROM edge e JOIN run u ON u.id = e.upstream_id WHERE e.downstream_id = r.id AND u.state <> 'succeeded')
  UNION ALL SELECT 'blocked below a run that will not succeed', r.id FROM run r JOIN edge e ON e.downstream_id = r.id
    JOIN run u ON u.id = e.upstream_id WHERE r.state = 'blocked' AND u.state IN ('failed', 'cancelled', 'upstream-failed')
  UNION ALL SELECT 'at work before its upstreams succeeded', r.id FROM run r JOIN edge e ON e.downstream_id = r.id
    JOIN run u ON u.id = e.upstream_id WHERE r.state IN ('queued', 'running', 'succeeded') AND u.state <> 'succeeded'
  UNION ALL SELECT 'in the outbox, but not waiting', o.attempt_id FROM outbox o JOIN attempt a ON a.id = o.attempt_id
    WHERE a.state <> 'waiting'`

/** Takes whatever waits until `isOver`; how an attempt ends follows from its id, so some crash and some fail. */
async function work(name: string, isOver: () => boolean): Promise<void> {
  const endings: readonly AttemptEnding[] = [
    'succeeded',
    'succeeded',
    'succeeded',
    'succeeded',
    'preempted',
    'crashed',
    'non-finite',
  ]
  const signal = new AbortController().signal
  while (!isOver()) {
    const [message] = await store.scheduler.waitingAttempts(1)
    if (!message) {
      await store.reader.waitForEvent(20, signal)
      continue
    }
    const ref = await store.attempts.lease(message.attemptId, { ...WORKER, id: name }, LEASE_MS)
    if (!ref) continue
    await store.attempts.start(ref)
    await store.attempts.heartbeat(ref, LEASE_MS)
    await store.attempts.end(ref, resultOf(endings[Number.parseInt(message.attemptId.slice(0, 6), 16) % endings.length]!))
  }
}

/** Hands the outbox to nobody: its rows go, and waitingAttempts finds the attempts. */
async function schedule(isOver: () => boolean): Promise<void> {
  const signal = new AbortController().signal
  while (!isOver()) {
    const pending = await store.scheduler.pendingOutbox(50)
    await store.scheduler.confirmOutbox(pending.map(({ id }) => id))
    await store.scheduler.expireLeases()
    if (pending.length === 0) await store.scheduler.waitForOutbox(20, signal)
  }
}

describe('submissions, cancellations, retries and workers at once', () => {
  it('leave no contradiction, no error and no run twice', async () => {
    const dataset = await freshDataset(store)
    const sets = ['vanilla', 'sex', 'age', 'view', 'icu', 'stay', 'scan', 'all']
    let over = false
    const background = [schedule(() => over), ...['w1', 'w2', 'w3'].map((name) => work(name, () => over))]
    const people = sets.map(async (_, i) => {
      const method = i % 2 ? (['msn', 'none'] as const) : (['msn'] as const)
      const grid = submission(dataset, {
        name: `grid ${i}`,
        ehr: sets.slice(i).concat(sets.slice(0, i)).slice(0, 5),
        seed: [1, 2],
        method: [...method],
        retryFailed: i % 3 === 0,
        priority: i,
      })
      const { gridId } = await store.grids.submit(grid)
      if (i % 4 === 1) await store.control.cancel({ gridId })
      for (const id of idsOf(grid, 'pretrain').slice(0, 4)) await store.control.retry({ runId: id })
      if (i % 4 === 3) await store.control.cancel({ runId: idOf(grid, 'evaluate') })
      return grid.plan.runs.map(({ id }) => id)
    })
    const everybody = await Promise.allSettled(people)
    over = true
    const helpers = await Promise.allSettled(background)
    expect([...everybody, ...helpers].filter(({ status }) => status === 'rejected')).toEqual([])
    expect(await lab.sql(CONTRADICTIONS)).toEqual([])
    const planned = new Set(everybody.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])))
    const [{ runs } = { runs: 0 }] = await lab.sql<{ runs: number }>('SELECT count(*)::int AS runs FROM run')
    expect(runs).toBe(planned.size)
    const [{ ended } = { ended: 0 }] = await lab.sql<{ ended: number }>(
      `SELECT count(*)::int AS ended FROM attempt WHERE state = 'ended'`,
    )
    expect(ended).toBeGreaterThan(0)
  })
})

describe('a grid that joins a run while the run ends', () => {
  it('sees the end: what it adds below is queued', async () => {
    const dataset = await freshDataset(store)
    const grid = submission(dataset)
    await store.grids.submit(grid)
    const ref = await leaseRun(store, idOf(grid, 'prepare'))
    const waiters = async (count: number) => {
      const waiting = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
      while ((await lab.sql(waiting)).length < count) await lab.sql('SELECT pg_stat_clear_snapshot()')
    }
    // Events are written last: with the event table held, the end stands still after all its changes, before its commit.
    await lab.sql('BEGIN')
    await lab.sql('LOCK TABLE event IN SHARE MODE')
    const ended = store.attempts.end(ref, resultOf('succeeded'))
    await waiters(1)
    const bigger = submission(dataset, { ehr: ['vanilla', 'sex'] })
    const submitted = store.grids.submit(bigger)
    await waiters(2)
    await lab.sql('COMMIT')
    await Promise.all([ended, submitted])
    const states = await Promise.all(idsOf(bigger, 'pretrain').map(async (id) => (await store.reader.run(id))!.state))
    expect(states).toEqual(['queued', 'queued'])
  })
})

describe('a reader of events that follows the cursor', () => {
  it('misses none, though many transactions write at once', async () => {
    const grid = submission(await freshDataset(store), { method: ['none'], seed: Array.from({ length: 12 }, (_, i) => 100 + i) })
    const { gridId } = await store.grids.submit(grid)
    const seen: bigint[] = []
    let cursor = 0n
    let over = false
    const read = async () => {
      const events = await store.reader.events({ after: cursor, gridId, limit: 3 })
      for (const { id } of events) seen.push(id)
      cursor = events.at(-1)?.id ?? cursor
      return events.length
    }
    const reading = (async () => {
      while (!over) await read()
      while ((await read()) > 0) {
        // To the end.
      }
    })()
    await Promise.all(
      idsOf(grid, 'pretrain').map(async (id) => store.attempts.end(await leaseRun(store, id), resultOf('succeeded'))),
    )
    over = true
    await reading
    const all = await lab.sql<{ id: string }>(
      'SELECT id FROM event WHERE grid_id = $1 OR run_id IN (SELECT run_id FROM grid_run WHERE grid_id = $1) ORDER BY id',
      [gridId],
    )
    expect(seen.map(String)).toEqual(all.map(({ id }) => id))
    expect(seen.length).toBeGreaterThan(3 * 12)
  })
})
