/** The scheduler's side of the store. */
import type { OutboxMessage, RetryPolicy, SchedulerStore } from '#libs/runs'
import { ADVISORY_LOCKS } from './advisory-locks.ts'
import type { Database, Tx } from './database.ts'
import { lockRunOf, moveOn } from './end-attempt.ts'

interface MessageRow {
  readonly id: bigint
  readonly attempt_id: string
  readonly resource_class: string
  readonly queue_priority: number
}

const toMessage = (row: MessageRow): OutboxMessage => ({
  id: row.id,
  attemptId: row.attempt_id,
  resourceClass: row.resource_class,
  queuePriority: row.queue_priority,
})

const PENDING = `
  SELECT id, attempt_id, resource_class, queue_priority FROM outbox WHERE not_before <= clock_timestamp() ORDER BY id LIMIT $1::int`

// Attempt rows are locked before outbox rows, as lease() does: the other order could deadlock with it.
const CONFIRM = `
  WITH locked AS (
    SELECT a.id FROM attempt a JOIN outbox o ON o.attempt_id = a.id WHERE o.id = ANY($1::bigint[]) ORDER BY a.id FOR UPDATE OF a
  ), gone AS (
    DELETE FROM outbox WHERE attempt_id IN (SELECT id FROM locked) RETURNING attempt_id
  )
  UPDATE attempt SET offered_at = clock_timestamp(), offered_priority = queue_priority FROM gone WHERE attempt.id = gone.attempt_id`

// Those that were looked for longest ago come first, so that every waiting attempt has its turn. One that somebody holds is on
// the move: it is skipped, and this statement waits for nobody.
const WAITING = `
  UPDATE attempt SET offered_at = clock_timestamp() WHERE id IN (
    SELECT a.id FROM attempt a WHERE a.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.attempt_id = a.id)
    ORDER BY a.offered_at NULLS FIRST, a.id LIMIT $1::int FOR UPDATE SKIP LOCKED
  ) RETURNING 0::bigint AS id, id AS attempt_id, resource_class, COALESCE(offered_priority, queue_priority) AS queue_priority`

const EXPIRED = `
  SELECT id FROM attempt WHERE state IN ('leased', 'running') AND lease_until < clock_timestamp() ORDER BY lease_until LIMIT 100`

// The condition again: a heartbeat may have come since the search.
const END_EXPIRED = `
  UPDATE attempt SET state = 'ended', ending = 'lost', message = $2::text, ended_at = clock_timestamp(), lease_until = NULL
  WHERE id = $1::text AND state IN ('leased', 'running') AND lease_until < clock_timestamp() RETURNING run_id, number`

const LOST_MESSAGE = 'the worker stopped extending its lease'

export function createSchedulerStore(db: Database, policy: RetryPolicy): SchedulerStore {
  return {
    async acquireLeadership() {
      const session = await db.session()
      let onLost = () => {}
      const lost = new Promise<void>((resolve) => {
        onLost = resolve
      })
      session.on('error', onLost)
      session.on('end', onLost)
      let taken = false
      try {
        const { rows } = await session.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [
          ADVISORY_LOCKS.leader,
        ])
        taken = rows[0]?.taken === true
        return taken ? { release: () => session.end(), lost } : undefined
      } finally {
        if (!taken) await session.end()
      }
    },

    async pendingOutbox(limit) {
      return (await db.rows<MessageRow>(PENDING, limit)).map(toMessage)
    },

    async confirmOutbox(ids) {
      if (ids.length > 0) await db.rows(CONFIRM, [...ids])
    },

    async expireLeases() {
      const expired = await db.rows<{ id: string }>(EXPIRED)
      let ended = 0
      for (const { id } of expired) if (await db.transaction((tx) => expire(tx, id, policy))) ended++
      return ended
    },

    async waitingAttempts(limit) {
      return (await db.rows<MessageRow>(WAITING, limit)).map(toMessage)
    },

    waitForOutbox: (timeoutMs, signal) => db.listen('cxrlab_outbox', timeoutMs, signal),
  }
}

async function expire(tx: Tx, attemptId: string, policy: RetryPolicy): Promise<boolean> {
  if (!(await lockRunOf(tx, attemptId))) return false
  const [ended] = await tx.rows<{ run_id: string; number: number }>(END_EXPIRED, attemptId, LOST_MESSAGE)
  if (!ended) return false
  await moveOn(tx, attemptId, ended, { ending: 'lost', message: LOST_MESSAGE, artifacts: [], results: [], summary: {} }, policy)
  return true
}
