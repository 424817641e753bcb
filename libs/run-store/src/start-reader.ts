/** Facts for estimates of starts and ends: what is at work, what is ahead, what like runs took. */
import {
  type Alike,
  endAfter,
  type MeasuredRun,
  MeasuredRuns,
  queuedStart,
  type RunAtWork,
  type RunState,
  type StartEstimate,
  startAfter,
} from '#libs/runs'
import type { Sql } from './database.ts'
import { WORKER_ALIVE_SECONDS } from './worker-alive.ts'

/** Runs of one shape take about as long. */
const SHAPE = (run: string) => `concat_ws('/', ${run}.kind, COALESCE(${run}.spec->>'method', ${run}.spec->>'mode'),
  ${run}.spec#>>'{backbone,name}', ${run}.resource_class)`

const MEASURED = `
  SELECT ${SHAPE('r')} AS shape, r.kind, EXTRACT(EPOCH FROM a.ended_at - a.leased_at)::float8 AS seconds
  FROM attempt a JOIN run r ON r.id = a.run_id
  WHERE a.state = 'ended' AND a.leased_at IS NOT NULL AND a.ending = 'succeeded' ORDER BY a.ended_at DESC LIMIT 300`

const AT_WORK = `
  SELECT r.id, ${SHAPE('r')} AS shape, r.kind, EXTRACT(EPOCH FROM clock_timestamp() - a.leased_at)::float8 AS "elapsedSeconds",
    r.progress_done / NULLIF(r.progress_total, 0) AS share
  FROM attempt a JOIN run r ON r.id = a.run_id WHERE a.state IN ('leased', 'running')`

/** Places that live workers of the class have; those that drain take nothing more. */
export const SLOTS = (resourceClass: string) => `
  SELECT COALESCE(sum(slots), 0)::int FROM worker w WHERE w.resource_class = ${resourceClass} AND w.draining IS NULL
    AND w.last_seen_at > clock_timestamp() - make_interval(secs => ${WORKER_ALIVE_SECONDS})`

/**
 * `o` is given out before `a`: what the queue has, by the numbers it was told, then the rest by place and age. The fair order of
 * the rest is made anew with every plan; this is what it comes down to for one owner.
 */
export const IS_AHEAD = `o.state = 'waiting' AND o.resource_class = a.resource_class AND o.id <> a.id AND
  (COALESCE(o.offered_priority, 2147483647), o.queue_priority, o.created_at, o.id)
  < (COALESCE(a.offered_priority, 2147483647), a.queue_priority, a.created_at, a.id)`

const QUEUE = `
  SELECT (${SLOTS('a.resource_class')}) AS slots,
    GREATEST(0, EXTRACT(EPOCH FROM a.not_before - clock_timestamp()))::float8 AS "backoffSeconds",
    (
      SELECT COALESCE(jsonb_agg(jsonb_build_object('shape', shape, 'kind', kind, 'count', count)), '[]'::jsonb) FROM (
        SELECT ${SHAPE('x')} AS shape, x.kind, count(*)::int AS count
        FROM attempt o JOIN run x ON x.id = o.run_id WHERE ${IS_AHEAD} GROUP BY 1, 2
      ) AS ahead
    ) AS ahead
  FROM attempt a WHERE a.run_id = $1::text AND a.state = 'waiting'`

const UPSTREAM = `
  SELECT u.id, u.state, u.kind, ${SHAPE('u')} AS shape, u.resource_class AS "resourceClass"
  FROM edge e JOIN run u ON u.id = e.upstream_id
  WHERE e.downstream_id = $1::text AND u.state <> 'succeeded' ORDER BY u.level, u.id`

interface QueueRow {
  readonly slots: number
  readonly backoffSeconds: number
  readonly ahead: readonly (Alike & { readonly count: number })[]
}

interface RunFacts extends Alike {
  readonly id: string
  readonly state: RunState
}

/** One question's view of the lab: measured and running runs are read once. */
export class StartReader {
  readonly #db: Sql
  readonly #measured: MeasuredRuns
  readonly #atWork: readonly (RunAtWork & { readonly id: string })[]

  private constructor(db: Sql, measured: MeasuredRuns, atWork: readonly (RunAtWork & { readonly id: string })[]) {
    this.#db = db
    this.#measured = measured
    this.#atWork = atWork
  }

  static async open(db: Sql): Promise<StartReader> {
    const measured = new MeasuredRuns(await db.rows<MeasuredRun>(MEASURED))
    return new StartReader(db, measured, await db.rows<RunAtWork & { id: string }>(AT_WORK))
  }

  /** Seconds from now; null where unknown. */
  async start(runId: string, state: RunState, resourceClass: string): Promise<StartEstimate | null> {
    if (state === 'queued') return this.#queued(runId, resourceClass)
    if (state !== 'blocked') return null
    const ends = await this.endsAbove(runId)
    return startAfter([...ends.values()])
  }

  /** Ends of the upstreams that have not succeeded, by id. */
  async endsAbove(runId: string): Promise<ReadonlyMap<string, StartEstimate | null>> {
    const upstreams = await this.#db.rows<RunFacts & { resourceClass: string }>(UPSTREAM, runId)
    const ends = new Map<string, StartEstimate | null>()
    for (const upstream of upstreams) ends.set(upstream.id, await this.#end(upstream, upstream.resourceClass))
    return ends
  }

  async #end(run: RunFacts, resourceClass: string): Promise<StartEstimate | null> {
    if (run.state === 'running') {
      const atWork = this.#atWork.find(({ id }) => id === run.id)
      return atWork ? endAfter({ p50: 0, p90: 0 }, this.#measured.left(atWork)) : null
    }
    const start = await this.start(run.id, run.state, resourceClass)
    return start && endAfter(start, this.#measured.of(run))
  }

  async #queued(runId: string, resourceClass: string): Promise<StartEstimate | null> {
    const [queue] = await this.#db.rows<QueueRow>(QUEUE, runId)
    if (!queue) return null
    const running = this.#atWork.filter(({ shape }) => shape.endsWith(`/${resourceClass}`))
    return queuedStart({ ...queue, running }, this.#measured)
  }
}
