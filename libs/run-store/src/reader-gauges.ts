/** The lab in numbers, for /metrics: two cheap statements. */
import type { LabReader } from '#libs/runs'
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

export function createGaugeReader(db: Sql): Pick<LabReader, 'gauges'> {
  return {
    async gauges() {
      interface Lines {
        readonly outbox_rows: number
        readonly outbox_age: number
        readonly queue_age: number
        readonly workers: Record<string, number>
      }
      const [lines] = await db.rows<Lines>(LINES)
      return {
        runs: countsByKind(await db.rows<CountRow>(COUNTS)),
        outboxRows: lines?.outbox_rows ?? 0,
        outboxAgeSeconds: lines?.outbox_age ?? 0,
        queueAgeSeconds: lines?.queue_age ?? 0,
        workersAlive: lines?.workers ?? {},
      }
    },
  }
}
