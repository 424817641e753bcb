/** The worker's side of the store. Every write is guarded by attempt id and fencing token; times are the database's. */
import type { RunKind, RunSpec } from '#libs/experiments'
import {
  type Assignment,
  type AttemptRef,
  type AttemptResult,
  type AttemptStore,
  type Desired,
  HELD_STATES,
  type RetryPolicy,
  type RunState,
  type WorkerIdentity,
} from '#libs/runs'
import type { Database, Sql, Tx } from './database.ts'
import { DATASET_COLUMNS, type DatasetRow, toDataset } from './dataset-store.ts'
import { lockRunOf, moveOn } from './end-attempt.ts'
import { recordEvent } from './moves.ts'
import { recordMetrics } from './record-metrics.ts'

const HELD = `id = $1::text AND fencing = $2::bigint AND state IN (${HELD_STATES.map((state) => `'${state}'`).join(', ')})`

const SEE_WORKER = `
  INSERT INTO worker (id, hostname, resource_class, engine, version, slots, draining)
  VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::int, $7::text)
  ON CONFLICT (id) DO UPDATE SET last_seen_at = clock_timestamp(), engine = EXCLUDED.engine, version = EXCLUDED.version,
    slots = EXCLUDED.slots, draining = EXCLUDED.draining
  RETURNING id`

// In: run id. Compare-and-set from queued; the new fencing token outdates every earlier holder.
const TAKE_RUN = `
  UPDATE run SET state = 'running', fencing = fencing + 1, started_at = COALESCE(started_at, clock_timestamp())
  WHERE id = $1::text AND state = 'queued'
  RETURNING fencing, spec, semantics, dataset_name`

const TAKE_ATTEMPT = `
  UPDATE attempt SET state = 'leased', worker_id = $2::text, fencing = $3::bigint, leased_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => $4::float8 / 1000)
  WHERE id = $1::text AND state = 'waiting' RETURNING number, micro_batch`

// Once: `fresh` is false where it had started before.
const START = `
  WITH held AS (
    SELECT id, run_id, state = 'leased' AS fresh FROM attempt WHERE ${HELD} FOR UPDATE
  ), started AS (
    UPDATE attempt a SET state = 'running', started_at = clock_timestamp() FROM held WHERE a.id = held.id AND held.fresh
  )
  SELECT run_id, fresh FROM held`

const HEARTBEAT = `
  WITH held AS (
    UPDATE attempt SET lease_until = clock_timestamp() + make_interval(secs => $3::float8 / 1000) WHERE ${HELD} RETURNING run_id, worker_id
  ), seen AS (
    UPDATE worker w SET last_seen_at = clock_timestamp() FROM held WHERE w.id = held.worker_id
  )
  SELECT r.desired FROM held JOIN run r ON r.id = held.run_id`

const RECORD_PROGRESS = `
  UPDATE run SET progress_done = $3::float8, progress_total = $4::float8, progress_unit = $5::text
  WHERE id = (SELECT run_id FROM attempt WHERE ${HELD}) RETURNING id`

const RECORD_CHECKPOINT = `
  INSERT INTO checkpoint (run_id, role, step, attempt_id, name, sha256, size_bytes)
  SELECT run_id, $3::text, $4::bigint, id, $5::text, $6::text, $7::bigint FROM attempt WHERE ${HELD}
  ON CONFLICT (run_id, role, step) DO UPDATE SET attempt_id = EXCLUDED.attempt_id, name = EXCLUDED.name, sha256 = EXCLUDED.sha256,
    size_bytes = EXCLUDED.size_bytes, created_at = now()
  RETURNING run_id`

const END_ATTEMPT = `
  UPDATE attempt SET state = 'ended', ending = $3::text, message = $4::text, ended_at = clock_timestamp(), lease_until = NULL
  WHERE ${HELD} RETURNING run_id, number`

/** Thrown to roll a lease back that lost its race; never leaves this file. */
class LostRace extends Error {}

export function createAttemptStore(db: Database, policy: RetryPolicy): AttemptStore {
  const seeWorker = (sql: Sql, w: WorkerIdentity) =>
    sql.rows(SEE_WORKER, w.id, w.hostname, w.resourceClass, w.engine, w.version, w.slots, w.draining ?? null)
  return {
    async registerWorker(worker) {
      await seeWorker(db, worker)
    },

    async lease(attemptId, worker, leaseMs) {
      try {
        // In a transaction of its own: its row must not be held while the lease waits for the run, or heartbeats would wait too.
        await seeWorker(db, worker)
        return await db.transaction((tx) => takeAttempt(tx, attemptId, worker, leaseMs))
      } catch (error) {
        if (error instanceof LostRace) return undefined
        throw error
      }
    },

    async start({ attemptId, fencingToken }) {
      return db.transaction(async (tx) => {
        const [held] = await tx.rows<{ run_id: string; fresh: boolean }>(START, attemptId, fencingToken)
        // A word that was sent again is no second start.
        if (held?.fresh) recordEvent(tx, { type: 'attempt.started', runId: held.run_id, attemptId })
        return held !== undefined
      })
    },

    async heartbeat({ attemptId, fencingToken }, leaseMs) {
      const [held] = await db.rows<{ desired: Desired }>(HEARTBEAT, attemptId, fencingToken, leaseMs)
      return { held: held !== undefined, desired: held?.desired ?? 'run' }
    },

    recordMetrics: (ref, points) => recordMetrics(db, ref, points),

    async recordProgress({ attemptId, fencingToken }, done, total, unit) {
      return (await db.rows(RECORD_PROGRESS, attemptId, fencingToken, done, total, unit)).length > 0
    },

    async recordCheckpoint({ attemptId, fencingToken }, { role, step, name, sha256, sizeBytes }) {
      return db.transaction(async (tx) => {
        const [kept] = await tx.rows<{ run_id: string }>(
          RECORD_CHECKPOINT,
          attemptId,
          fencingToken,
          role,
          step,
          name,
          sha256,
          sizeBytes,
        )
        if (!kept) return false
        recordEvent(tx, { type: 'checkpoint.committed', runId: kept.run_id, attemptId, data: { role, step } })
        return true
      })
    },

    end: (ref, result) => db.transaction((tx) => endAttempt(tx, ref, result, policy)),

    waitForWish: (timeoutMs, signal) => db.listen('cxrlab_wish', timeoutMs, signal),
  }
}

async function takeAttempt(tx: Tx, attemptId: string, worker: WorkerIdentity, leaseMs: number): Promise<Assignment> {
  const run = await lockRunOf(tx, attemptId)
  if (!run) throw new LostRace()
  interface Taken {
    readonly fencing: bigint
    readonly spec: RunSpec
    readonly semantics: number
    readonly dataset_name: string | null
  }
  const [taken] = await tx.rows<Taken>(TAKE_RUN, run.id)
  if (!taken) throw new LostRace()
  const [attempt] = await tx.rows<{ number: number; micro_batch: number | null }>(
    TAKE_ATTEMPT,
    attemptId,
    worker.id,
    taken.fencing,
    leaseMs,
  )
  if (!attempt) throw new LostRace()
  await tx.rows('DELETE FROM outbox WHERE attempt_id = $1::text', attemptId)
  recordEvent(tx, { type: 'run.running', runId: run.id, attemptId, data: { number: attempt.number } })
  return {
    attemptId,
    fencingToken: Number(taken.fencing),
    runId: run.id,
    number: attempt.number,
    spec: taken.spec,
    semantics: taken.semantics,
    microBatch: attempt.micro_batch,
    upstream: await upstreamOf(tx, run.id),
    dataset: taken.dataset_name === null ? null : await datasetOf(tx, taken.dataset_name),
  }
}

async function upstreamOf(tx: Tx, runId: string): Promise<Assignment['upstream']> {
  const rows = await tx.rows<{ id: string; kind: RunKind; spec: RunSpec }>(
    'SELECT u.id, u.kind, u.spec FROM edge e JOIN run u ON u.id = e.upstream_id WHERE e.downstream_id = $1::text ORDER BY u.level, u.id',
    runId,
  )
  return rows.map(({ id, kind, spec }) => ({ runId: id, kind, spec }))
}

async function datasetOf(tx: Tx, name: string): Promise<Assignment['dataset']> {
  const [row] = await tx.rows<DatasetRow>(`SELECT ${DATASET_COLUMNS} FROM dataset WHERE name = $1::text`, name)
  return row ? toDataset(row) : null
}

async function endAttempt(tx: Tx, { attemptId, fencingToken }: AttemptRef, result: AttemptResult, policy: RetryPolicy) {
  const run = await lockRunOf(tx, attemptId)
  if (!run) return { accepted: false, runState: 'cancelled' as const }
  const [ended] = await tx.rows<{ run_id: string; number: number }>(
    END_ATTEMPT,
    attemptId,
    fencingToken,
    result.ending,
    result.message,
  )
  // A stale token: the run belongs to somebody else now, or has ended.
  if (!ended) return { accepted: false, runState: run.state as RunState }
  return { accepted: true, runState: await moveOn(tx, attemptId, ended, result, policy) }
}
