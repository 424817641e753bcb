/** The scheduler's planning: heads of lines, use of devices, and what was decided. */
import type { Crowded, MeasuredCost, PlanningStore, WaitingRow } from '#libs/runs'
import { ask } from './control/wishes.ts'
import type { Database } from './database.ts'
import { WORKER_ALIVE_SECONDS } from './worker-alive.ts'

/** The priority that a place in the line was made of (`urgency` in moves.ts). */
const priorityOf = (attempt: string): string => `101 - ${attempt}.queue_priority / 4`

// In: rows a line. The lines are few (classes x owners x grids); each is read from its head by the index attempt_line.
const WAITING_LINE = `
  WITH lines AS (
    SELECT DISTINCT resource_class, owner, grid_id FROM attempt WHERE state = 'waiting'
  ), seen AS (
    SELECT head.id FROM lines l CROSS JOIN LATERAL (
      SELECT a.id FROM attempt a
      WHERE a.state = 'waiting' AND a.resource_class = l.resource_class AND a.owner = l.owner AND a.grid_id = l.grid_id
        AND a.not_before <= clock_timestamp()
      ORDER BY a.queue_priority, a.created_at, a.id LIMIT $1::int
    ) AS head
    UNION SELECT id FROM attempt WHERE state = 'waiting' AND offered_priority IS NOT NULL
  )
  SELECT a.id AS "attemptId", a.resource_class AS "resourceClass", r.kind, a.owner, a.grid_id AS "gridId",
    ${priorityOf('a')} AS priority, a.offered_priority AS "offeredPriority"
  FROM seen JOIN attempt a USING (id) JOIN run r ON r.id = a.run_id
  WHERE a.state = 'waiting' ORDER BY a.queue_priority, a.created_at, a.id`

const ACTIVE = `
  SELECT owner, grid_id, count(*)::int AS count FROM attempt WHERE state IN ('leased', 'running') GROUP BY owner, grid_id`

// In: seconds back. Hours are fine enough for a half-life of days, and keep the answer short.
const USAGE = `
  SELECT owner, resource_class AS "resourceClass",
    sum(EXTRACT(EPOCH FROM COALESCE(ended_at, clock_timestamp()) - leased_at))::float8 AS seconds,
    avg(EXTRACT(EPOCH FROM clock_timestamp() - COALESCE(ended_at, clock_timestamp())))::float8 AS "ageSeconds"
  FROM attempt
  WHERE leased_at IS NOT NULL
    AND ((state = 'ended' AND ended_at > clock_timestamp() - make_interval(secs => $1::float8)) OR state IN ('leased', 'running'))
  GROUP BY owner, resource_class, date_trunc('hour', COALESCE(ended_at, clock_timestamp()))`

const COSTS = `
  SELECT resource_class AS "resourceClass", kind, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::float8 AS seconds
  FROM (
    SELECT a.resource_class, r.kind, EXTRACT(EPOCH FROM a.ended_at - a.leased_at)::float8 AS seconds
    FROM attempt a JOIN run r ON r.id = a.run_id
    WHERE a.state = 'ended' AND a.leased_at IS NOT NULL AND a.ending = 'succeeded' ORDER BY a.ended_at DESC LIMIT 500
  ) AS latest GROUP BY resource_class, kind`

// In: attempts with numbers. Attempt rows are locked before outbox rows, in the order of ids, as everywhere.
const OFFERED = `
  WITH told AS (
    SELECT id, number FROM jsonb_to_recordset($1::jsonb) AS t(id text, number int)
  ), locked AS (
    SELECT a.id FROM attempt a WHERE a.id IN (SELECT id FROM told) AND a.state = 'waiting' ORDER BY a.id FOR UPDATE
  ), gone AS (
    DELETE FROM outbox WHERE attempt_id IN (SELECT id FROM locked)
  )
  UPDATE attempt a SET offered_priority = told.number, offered_at = clock_timestamp()
  FROM told WHERE a.id = told.id AND a.id IN (SELECT id FROM locked)`

// A row that somebody holds is on the move: it is skipped, so this waits for nobody.
const HOLD = (rows: string, reason: string) => `
  WITH held AS (
    SELECT o.id FROM outbox o ${rows} ORDER BY o.id FOR UPDATE OF o SKIP LOCKED
  )
  UPDATE outbox SET hold = ${reason} FROM held WHERE outbox.id = held.id`
const HOLD_NAMED = HOLD(`WHERE o.attempt_id = ANY($1::text[]) AND o.hold IS DISTINCT FROM $2::text`, '$2::text')
const HOLD_REST = HOLD(`WHERE o.hold IS NULL AND o.not_before <= clock_timestamp() AND o.id <= $1::bigint`, `'line'`)

const CROWDED_CLASSES = `
  SELECT a.resource_class AS "resourceClass", (
      SELECT COALESCE(sum(slots), 0)::int FROM worker w WHERE w.resource_class = a.resource_class AND w.draining IS NULL
        AND w.last_seen_at > clock_timestamp() - make_interval(secs => ${WORKER_ALIVE_SECONDS})
    ) AS slots
  FROM attempt a WHERE a.state = 'waiting' AND a.offered_priority IS NOT NULL
  GROUP BY a.resource_class
  HAVING max(${priorityOf('a')}) > (
    SELECT min(r.priority) FROM attempt h JOIN run r ON r.id = h.run_id
    WHERE h.resource_class = a.resource_class AND h.state IN ('leased', 'running')
  )`

const URGENT = `
  SELECT a.id AS "attemptId", ${priorityOf('a')} AS priority,
    (1000 * EXTRACT(EPOCH FROM clock_timestamp() - GREATEST(r.queued_at, a.not_before)))::float8 AS "waitedMs"
  FROM attempt a JOIN run r ON r.id = a.run_id
  WHERE a.state = 'waiting' AND a.offered_priority IS NOT NULL AND a.resource_class = $1::text
  ORDER BY a.offered_priority LIMIT 100`

const RUNNING = `
  SELECT a.id AS "attemptId", a.run_id AS "runId", r.priority, r.desired <> 'run' AS leaving,
    (1000 * EXTRACT(EPOCH FROM clock_timestamp() - a.leased_at))::float8 AS "heldMs",
    (1000 * EXTRACT(EPOCH FROM clock_timestamp() - COALESCE(
      (SELECT max(c.created_at) FROM checkpoint c WHERE c.run_id = a.run_id AND c.attempt_id = a.id), a.leased_at
    )))::float8 AS "sinceCheckpointMs"
  FROM attempt a JOIN run r ON r.id = a.run_id WHERE a.state IN ('leased', 'running') AND a.resource_class = $1::text`

export function createPlanningStore(db: Database): PlanningStore {
  // Rows that come while a plan is made are looked at by the next one.
  let newestSeen = 0n
  return {
    async waitingLine(perLine) {
      const [newest] = await db.rows<{ id: bigint }>('SELECT COALESCE(max(id), 0)::bigint AS id FROM outbox')
      newestSeen = newest?.id ?? 0n
      return db.rows<WaitingRow>(WAITING_LINE, perLine)
    },

    async active() {
      const rows = await db.rows<{ owner: string; grid_id: string; count: number }>(ACTIVE)
      const byOwner = new Map<string, number>()
      const byGrid = new Map<string, number>()
      for (const { owner, grid_id, count } of rows) {
        byOwner.set(owner, (byOwner.get(owner) ?? 0) + count)
        byGrid.set(grid_id, (byGrid.get(grid_id) ?? 0) + count)
      }
      return { byOwner, byGrid }
    },

    usage: (withinSeconds) => db.rows(USAGE, withinSeconds),
    costs: () => db.rows<MeasuredCost>(COSTS),

    async offered(numbers, held) {
      const told = numbers.map(({ attemptId, number }) => ({ id: attemptId, number }))
      if (told.length > 0) await db.rows(OFFERED, JSON.stringify(told))
      for (const reason of new Set(held.map(({ hold }) => hold))) {
        const ids = held.flatMap(({ attemptId, hold }) => (hold === reason ? [attemptId] : []))
        await db.rows(HOLD_NAMED, ids, reason)
      }
      await db.rows(HOLD_REST, newestSeen)
    },

    async crowded() {
      const classes = await db.rows<{ resourceClass: string; slots: number }>(CROWDED_CLASSES)
      return Promise.all(
        classes.map(async ({ resourceClass, slots }): Promise<Crowded> => {
          const running = await db.rows<Crowded['running'][number]>(RUNNING, resourceClass)
          const urgent = await db.rows<Crowded['urgent'][number]>(URGENT, resourceClass)
          return { resourceClass, freeSlots: slots - running.length, urgent, running }
        }),
      )
    },

    preempt: (runIds) => db.transaction(async (tx) => (await ask(tx, runIds, 'preempt')).length),
  }
}
