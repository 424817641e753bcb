/** The workers, and what each works on. */
import type { WorkerReader, WorkerView } from '#libs/runs'
import type { Sql } from './database.ts'
import { WORKER_ALIVE_SECONDS } from './worker-alive.ts'

const WORKERS = `
  SELECT id, hostname, resource_class AS "resourceClass", engine, version, slots, draining, first_seen_at AS "firstSeenAt",
    last_seen_at AS "lastSeenAt", last_seen_at > clock_timestamp() - make_interval(secs => ${WORKER_ALIVE_SECONDS}) AS alive
  FROM worker w
  WHERE last_seen_at > clock_timestamp() - interval '1 day'
    OR EXISTS (SELECT 1 FROM attempt a WHERE a.worker_id = w.id AND a.state IN ('leased', 'running'))
  ORDER BY alive DESC, last_seen_at DESC, id`

const HELD = `
  SELECT a.worker_id, a.id AS "attemptId", a.run_id AS "runId", r.title, a.leased_at AS "leasedAt"
  FROM attempt a JOIN run r ON r.id = a.run_id WHERE a.state IN ('leased', 'running') ORDER BY a.leased_at, a.id`

type Held = WorkerView['attempts'][number] & { readonly worker_id: string }

export function createWorkerReader(db: Sql): WorkerReader {
  return {
    async workers() {
      const workers = await db.rows<Omit<WorkerView, 'attempts'>>(WORKERS)
      const held = await db.rows<Held>(HELD)
      return workers.map((worker) => ({
        ...worker,
        attempts: held.flatMap(({ worker_id, ...attempt }) => (worker_id === worker.id ? [attempt] : [])),
      }))
    },
  }
}
