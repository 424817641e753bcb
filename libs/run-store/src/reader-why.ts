/** The facts behind "why does this run not move?". */
import type { RunKind } from '#libs/experiments'
import { explain, type HoldReason, type LabReader, type RunState, type Why } from '#libs/runs'
import type { Sql } from './database.ts'
import { IS_AHEAD, StartReader } from './start-reader.ts'
import { WORKER_ALIVE_SECONDS } from './worker-alive.ts'

const PROGRESS = (run: string) => `${run}.progress_done / NULLIF(${run}.progress_total, 0)`

const FACTS = `
  SELECT r.state, r.message, r.desired, r.resource_class, ${PROGRESS('r')} AS progress,
    w.id AS attempt_id, o.hold, EXTRACT(EPOCH FROM w.not_before - clock_timestamp())::float8 AS backoff,
    (SELECT count(*)::int FROM worker k WHERE k.resource_class = r.resource_class AND k.draining IS NULL
      AND k.last_seen_at > clock_timestamp() - make_interval(secs => ${WORKER_ALIVE_SECONDS})) AS workers,
    f.id AS root_id, f.kind AS root_kind, f.message AS root_message
  FROM run r LEFT JOIN attempt w ON w.run_id = r.id AND w.state = 'waiting'
    LEFT JOIN outbox o ON o.attempt_id = w.id LEFT JOIN run f ON f.id = r.root_run_id
  WHERE r.id = $1::text`

const WAITS_FOR = `
  SELECT u.id, u.kind, u.state, ${PROGRESS('u')} AS progress
  FROM edge e JOIN run u ON u.id = e.upstream_id
  WHERE e.downstream_id = $1::text AND u.state <> 'succeeded' ORDER BY u.level, u.id`

// Attempts of the class that are given out before this one.
const AHEAD = `
  SELECT count(*)::int AS ahead FROM attempt o JOIN attempt a ON a.id = $1::text WHERE ${IS_AHEAD}`

interface FactRow {
  readonly state: RunState
  readonly message: string | null
  readonly desired: string
  readonly resource_class: string
  readonly progress: number | null
  readonly attempt_id: string | null
  readonly hold: HoldReason | null
  readonly backoff: number | null
  readonly workers: number
  readonly root_id: string | null
  readonly root_kind: RunKind | null
  readonly root_message: string | null
}

export function createWhyReader(db: Sql): Pick<LabReader, 'why'> {
  return {
    async why(runId) {
      const [row] = await db.rows<FactRow>(FACTS, runId)
      if (!row) return undefined
      const isQueued = row.state === 'queued'
      const [line] = isQueued && row.attempt_id ? await db.rows<{ ahead: number }>(AHEAD, row.attempt_id) : []
      const isBlocked = row.state === 'blocked'
      const waitsFor = isBlocked ? await db.rows<Omit<Why['waitsFor'][number], 'end'>>(WAITS_FOR, runId) : []
      const starts = isQueued || isBlocked ? await StartReader.open(db) : undefined
      const ends = isBlocked ? await starts?.endsAbove(runId) : undefined
      return explain({
        state: row.state,
        message: row.message,
        desired: row.desired,
        resourceClass: row.resource_class,
        progress: row.progress,
        backoffSeconds: row.backoff !== null && row.backoff > 0 ? row.backoff : null,
        waitsFor: waitsFor.map((upstream) => ({ ...upstream, end: ends?.get(upstream.id) ?? null })),
        hold: isQueued ? row.hold : null,
        start: (await starts?.start(runId, row.state, row.resource_class)) ?? null,
        runsAhead: line?.ahead ?? null,
        workersOfClass: isQueued ? row.workers : null,
        rootCause: row.root_id && row.root_kind ? { id: row.root_id, kind: row.root_kind, message: row.root_message } : null,
      })
    },
  }
}
