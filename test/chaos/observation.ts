/** What the harness sees of the lab: the rows of Postgres, read behind the services' backs. */
import pg from 'pg'
import { patiently } from './servers.ts'

export interface LiveAttempt {
  readonly id: string
  readonly runId: string
  readonly kind: string
  readonly state: 'waiting' | 'leased' | 'running'
  /** Process id of the worker that holds it, out of the worker's own name. */
  readonly workerPid: number | null
  readonly resourceClass: string
}

export interface SeenRun {
  readonly id: string
  readonly kind: string
  readonly state: string
  /** Done share of the attempt at work, 0 to 1. */
  readonly progress: number
}

export interface Observation {
  readonly runs: readonly SeenRun[]
  readonly attempts: readonly LiveAttempt[]
  /** All runs are in an end state. */
  readonly ended: boolean
}

export interface Database {
  rows<T extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<T[]>
  observe(): Promise<Observation>
  close(): Promise<void>
}

const RUNS = `
  SELECT id, kind, state, CASE WHEN state = 'succeeded' THEN 1 ELSE COALESCE(progress_done / NULLIF(progress_total, 0), 0) END AS progress
  FROM run ORDER BY seq`
const ATTEMPTS = `
  SELECT a.id, a.run_id AS "runId", r.kind, a.state, a.worker_id AS worker, a.resource_class AS "resourceClass"
  FROM attempt a JOIN run r ON r.id = a.run_id WHERE a.state <> 'ended' ORDER BY a.id`
const END_STATES = ['succeeded', 'failed', 'cancelled', 'upstream-failed']

export function openDatabase(url: string): Database {
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 2000 })
  // A killed server breaks idle sessions; the next query opens another one.
  pool.on('error', () => {})
  const rows = <T extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) =>
    patiently(async () => (await pool.query<T>(sql, [...values])).rows)
  return {
    rows,
    async observe() {
      const runs = await rows<SeenRun & pg.QueryResultRow>(RUNS)
      const attempts = await rows<Omit<LiveAttempt, 'workerPid'> & { worker: string | null }>(ATTEMPTS)
      return {
        runs,
        attempts: attempts.map(({ worker, ...attempt }) => ({ ...attempt, workerPid: pidOf(worker) })),
        ended: runs.length > 0 && runs.every(({ state }) => END_STATES.includes(state)),
      }
    },
    close: () => pool.end(),
  }
}

/** Workers are named `<host>-<process id>-<eight digits>`. */
function pidOf(worker: string | null): number | null {
  const pid = /-(\d+)-[0-9a-f]{8}$/.exec(worker ?? '')?.[1]
  return pid === undefined ? null : Number(pid)
}
