/** The lab in numbers, for /metrics: three cheap statements. */
import type { LabGauges, LabReader } from '#libs/runs'
import type { Sql } from './database.ts'
import { type CountRow, countsByKind } from './state-counts.ts'
import { WORKER_ALIVE_SECONDS } from './worker-alive.ts'

const COUNTS = 'SELECT kind, state, count(*)::int AS count FROM run GROUP BY kind, state'

const AGE = (oldest: string) => `COALESCE(GREATEST(EXTRACT(EPOCH FROM clock_timestamp() - min(${oldest})), 0), 0)::float8`

// A row that a back-off holds is not late: it counts from when it may be handed over. What the scheduler has looked at and holds
// back is not late either.
const LINES = `
  SELECT (SELECT count(*)::int FROM outbox WHERE hold IS NULL) AS outbox_rows,
    (SELECT ${AGE('not_before')} FROM outbox WHERE hold IS NULL) AS outbox_age,
    (SELECT ${AGE('not_before')} FROM attempt WHERE state = 'waiting') AS queue_age,
    (SELECT COALESCE(jsonb_object_agg(resource_class, alive), '{}'::jsonb) FROM (
      SELECT resource_class, count(*) FILTER (WHERE last_seen_at > clock_timestamp() - make_interval(secs => ${WORKER_ALIVE_SECONDS})) AS alive
      FROM worker GROUP BY resource_class) AS classes) AS workers`

// Attempts that ended longer ago than this are no news. A gauge from here, not a counter of the worker: a lost worker counts nothing,
// and one that ends when idle may be gone before it is scraped.
const RECENT_MINUTES = 15

const ATTEMPTS = `
  SELECT
    (SELECT COALESCE(jsonb_object_agg(resource_class, states), '{}'::jsonb) FROM (
      SELECT resource_class, jsonb_object_agg(state, count) AS states FROM (
        SELECT resource_class, state, count(*) AS count FROM attempt
        WHERE state IN ('leased', 'running') OR (state = 'waiting' AND not_before <= clock_timestamp())
        GROUP BY resource_class, state) AS counts
      GROUP BY resource_class) AS classes) AS open,
    (SELECT COALESCE(jsonb_object_agg(ending, count), '{}'::jsonb) FROM (
      SELECT ending, count(*) AS count FROM attempt
      WHERE state = 'ended' AND ended_at > clock_timestamp() - make_interval(mins => ${RECENT_MINUTES})
      GROUP BY ending) AS counts) AS recent,
    (SELECT ${AGE('GREATEST(attempt.started_at, (SELECT max(created_at) FROM checkpoint WHERE checkpoint.run_id = run.id))')}
      FROM attempt JOIN run ON run.id = attempt.run_id
      WHERE attempt.state = 'running' AND run.kind = 'pretrain') AS checkpoint_age`

export function createGaugeReader(db: Sql): Pick<LabReader, 'gauges'> {
  return {
    async gauges() {
      interface Lines {
        readonly outbox_rows: number
        readonly outbox_age: number
        readonly queue_age: number
        readonly workers: Record<string, number>
      }
      interface Attempts {
        readonly open: LabGauges['openAttempts']
        readonly recent: LabGauges['recentEndings']
        readonly checkpoint_age: number
      }
      const [attempts] = await db.rows<Attempts>(ATTEMPTS)
      const [lines] = await db.rows<Lines>(LINES)
      return {
        runs: countsByKind(await db.rows<CountRow>(COUNTS)),
        outboxRows: lines?.outbox_rows ?? 0,
        outboxAgeSeconds: lines?.outbox_age ?? 0,
        queueAgeSeconds: lines?.queue_age ?? 0,
        workersAlive: lines?.workers ?? {},
        openAttempts: attempts?.open ?? {},
        recentEndings: attempts?.recent ?? {},
        checkpointAgeSeconds: attempts?.checkpoint_age ?? 0,
      }
    },
  }
}
