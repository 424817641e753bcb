/** The points of a run, written in a storm and read over HTTP: nothing lost, nothing twice, whatever the reader's connection does. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { AttemptRef } from '#libs/runs'
import { openStream } from '../../apps/api/src/testing/stream.ts'
import { apiOnStore } from './fixtures/api-on-store.ts'
import { finish, freshDataset, idOf, type LabStore, leaseRun, openLabStore, submission } from './fixtures/lab-store.ts'

const BATCHES = 150
const POINTS = 20
/** Batches on their way at once. */
const WRITERS = 4

let lab: LabStore
let folder: string
let app: FastifyInstance

beforeAll(async () => {
  lab = await openLabStore(8)
  folder = await mkdtemp(join(tmpdir(), 'cxrlab-stream-'))
  app = await apiOnStore(lab.store, folder)
})

afterAll(async () => {
  await app?.close()
  await lab?.close()
  await rm(folder, { recursive: true, force: true })
})

async function runningPretrain(): Promise<{ readonly runId: string; readonly ref: AttemptRef }> {
  const grid = submission(await freshDataset(lab.store))
  await lab.store.grids.submit(grid)
  await finish(lab.store, idOf(grid, 'prepare'), 'succeeded')
  const runId = idOf(grid, 'pretrain')
  return { runId, ref: await leaseRun(lab.store, runId) }
}

const batchOf = (batch: number) => Array.from({ length: POINTS }, (_, i) => ({ step: batch, name: `m${i}`, value: batch + i }))

/** Several batches at once, as where a worker sends again while its first try is still on its way. */
async function storm(ref: AttemptRef): Promise<void> {
  let next = 0
  const write = async () => {
    while (next < BATCHES) {
      const batch = next++
      expect(await lab.store.attempts.recordMetrics(ref, batchOf(batch))).toBe(true)
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
}

/** Sessions of this database that wait for a lock. */
async function countBlocked(): Promise<number> {
  const [row] = await lab.sql<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return row?.count ?? 0
}

const blocked = (sessions: number) => vi.waitFor(async () => expect(await countBlocked()).toBe(sessions))

describe('the stream of a run', () => {
  it('gives every point once, in the order of its cursor, over reconnects in the middle of a storm of writes', async () => {
    const { runId, ref } = await runningPretrain()
    const storming = storm(ref)
    const seen: { readonly id: bigint; readonly key: string }[] = []
    while (seen.length < BATCHES * POINTS) {
      const headers: Record<string, string> = seen.length === 0 ? {} : { 'last-event-id': String(seen.at(-1)?.id) }
      const { next, gone } = await openStream(app, `/v1/runs/${runId}/metrics`, headers)
      // Cut at another place each time, also in the middle of a batch.
      const until = Math.min(BATCHES * POINTS, seen.length + 137)
      while (seen.length < until) {
        const { id, data } = (await next()) as { id: string; data: { step: number; name: string } }
        seen.push({ id: BigInt(id), key: `${data.step} ${data.name}` })
      }
      gone.abort()
    }
    await storming
    expect(new Set(seen.map(({ key }) => key)).size).toBe(BATCHES * POINTS)
    expect(seen.every(({ id }, i) => i === 0 || id > (seen[i - 1]?.id ?? 0n))).toBe(true)
  })

  it('shows no point before those with lower cursors are stored, however late their write is done', async () => {
    const { runId, ref } = await runningPretrain()
    const { attempts, series } = lab.store
    const point = (step: number) => ({ step, name: 'loss', value: step })
    // Another session holds a key that the first write needs, after that write took its first cursor.
    await lab.sql('BEGIN')
    await lab.sql(`INSERT INTO metric (run_id, step, name, attempt, value) VALUES ($1, 99, 'loss', 1, 0)`, [runId])
    const first = attempts.recordMetrics(ref, [point(1), point(99)])
    await blocked(1)
    let isSecondStored = false
    const second = attempts.recordMetrics(ref, [point(2)]).then((stored) => {
      isSecondStored = stored
    })
    await vi.waitFor(async () => expect(isSecondStored || (await countBlocked()) === 2).toBe(true))
    const early = await series.pointsAfter(runId, { after: 0n, limit: 10 })
    await lab.sql('ROLLBACK')
    await Promise.all([first, second])
    const late = await series.pointsAfter(runId, { after: early.at(-1)?.seq ?? 0n, limit: 10 })
    expect([...early, ...late].map(({ step }) => step)).toEqual([1, 99, 2])
  })

  it('goes on with the points of the next attempt, which repeat steps', async () => {
    const { runId, ref } = await runningPretrain()
    await lab.store.attempts.recordMetrics(ref, [
      { step: 0, name: 'loss', value: 5 },
      { step: 1, name: 'loss', value: 4 },
    ])
    await lab.store.attempts.end(ref, { ending: 'preempted', message: null, artifacts: [], results: [], summary: {} })
    const again = await leaseRun(lab.store, runId)
    await lab.store.attempts.recordMetrics(again, [
      { step: 1, name: 'loss', value: 4 },
      { step: 1, name: 'loss', value: 4 },
    ])
    // The same batch again, as after a lost answer.
    await lab.store.attempts.recordMetrics(again, [
      { step: 1, name: 'loss', value: 4 },
      { step: 2, name: 'loss', value: 3 },
    ])
    expect(await lab.store.attempts.recordMetrics(ref, [{ step: 9, name: 'loss', value: 0 }])).toBe(false)
    const { next, gone } = await openStream(app, `/v1/runs/${runId}/metrics`)
    const points: unknown[] = []
    for (let i = 0; i < 4; i++) points.push((await next()).data)
    gone.abort()
    expect(points).toMatchObject([
      { attempt: 1, step: 0 },
      { attempt: 1, step: 1 },
      { attempt: 2, step: 1 },
      { attempt: 2, step: 2 },
    ])
  })

  it('is summed up by the database for charts, the newest attempt alone', async () => {
    const { runId, ref } = await runningPretrain()
    const values = Array.from({ length: 100 }, (_, step) => ({ step, name: 'loss', value: step === 7 ? Number.MAX_VALUE : step }))
    await lab.store.attempts.recordMetrics(ref, values)
    await lab.store.attempts.end(ref, { ending: 'preempted', message: null, artifacts: [], results: [], summary: {} })
    await lab.store.attempts.recordMetrics(await leaseRun(lab.store, runId), [{ step: 7, name: 'loss', value: 7 }])
    const series = async (query: string) => (await app.inject(`/v1/runs/${runId}/metrics/series?name=loss&${query}`)).json().items
    expect(await series('buckets=4')).toEqual([
      { fromStep: 0, toStep: 24, count: 25, min: 0, max: 24, mean: 12 },
      { fromStep: 25, toStep: 49, count: 25, min: 25, max: 49, mean: 37 },
      { fromStep: 50, toStep: 74, count: 25, min: 50, max: 74, mean: 62 },
      { fromStep: 75, toStep: 99, count: 25, min: 75, max: 99, mean: 87 },
    ])
    expect(await series('buckets=1&fromStep=10&toStep=11')).toEqual([
      { fromStep: 10, toStep: 11, count: 2, min: 10, max: 11, mean: 10.5 },
    ])
    expect(await series('buckets=500')).toHaveLength(100)
    expect((await app.inject(`/v1/runs/${runId}/metrics/names`)).json()).toEqual({ items: ['loss'] })
  })
})
