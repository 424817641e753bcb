/** Runs as people ask for them: lists, one run with everything about it, its metrics. */
import type { RunKind, RunSpec } from '#libs/experiments'
import { AmbiguousIdError, type LabReader, type RunDetail, type RunState, type RunSummary, type StoredMetric } from '#libs/runs'
import type { Sql } from './database.ts'
import { ID_PREFIX, keyOf, PREFIX, toPage } from './paging.ts'

interface RunRow {
  readonly id: string
  readonly seq: bigint
  readonly kind: RunKind
  readonly state: RunState
  readonly title: string
  readonly dataset_name: string | null
  readonly attempts: number
  readonly progress_done: number | null
  readonly progress_total: number | null
  readonly progress_unit: string | null
  readonly created_at: Date
  readonly started_at: Date | null
  readonly ended_at: Date | null
  readonly message: string | null
}

const RUN_COLUMNS = `r.id, r.seq, r.kind, r.state, r.title, r.dataset_name, r.progress_done, r.progress_total, r.progress_unit,
  r.created_at, r.started_at, r.ended_at, r.message, (SELECT count(*)::int FROM attempt a WHERE a.run_id = r.id) AS attempts`

const RUNS = `
  SELECT ${RUN_COLUMNS} FROM run r
  WHERE ($1::text IS NULL OR r.id IN (SELECT run_id FROM grid_run WHERE grid_id = $1::text))
    AND ($2::text IS NULL OR r.kind = $2::text) AND ($3::text IS NULL OR r.state = $3::text)
    AND ($4::bigint IS NULL OR r.seq < $4::bigint)
  ORDER BY r.seq DESC LIMIT $5::int`

// A resumed attempt repeats steps: the newest attempt speaks. WITH TIES keeps the names of one step together.
const METRICS = `
  SELECT step, name, value, at FROM (
    SELECT DISTINCT ON (step, name) step, name, value, at FROM metric
    WHERE run_id = $1::text AND ($2::text IS NULL OR name = $2::text) AND step > COALESCE($3::bigint, -1)
    ORDER BY step, name, attempt DESC
  ) AS newest
  ORDER BY step FETCH FIRST ($4::int) ROWS WITH TIES`

export function toRunSummary(row: RunRow): RunSummary {
  const { progress_done: done, progress_total: total, progress_unit: unit } = row
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    title: row.title,
    dataset: row.dataset_name,
    attempts: row.attempts,
    progress: done === null || total === null || unit === null ? null : { done, total, unit },
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    message: row.message,
  }
}

export function createRunReader(db: Sql): Pick<LabReader, 'runs' | 'run' | 'metrics'> {
  return {
    /** Newest first. */
    async runs({ gridId, kind, state }, page) {
      const rows = await db.rows<RunRow>(RUNS, gridId ?? null, kind ?? null, state ?? null, keyOf(page), page.limit + 1)
      return toPage(rows, page, ({ seq }) => seq, toRunSummary)
    },

    async run(idOrPrefix) {
      const id = await resolveRun(db, idOrPrefix)
      return id === undefined ? undefined : runDetail(db, id)
    },

    /** May give a few more than `limit`: all names of the last step. */
    async metrics(runId, { name, afterStep, limit }) {
      const rows = await db.rows<Omit<StoredMetric, 'step'> & { step: bigint }>(
        METRICS,
        runId,
        name ?? null,
        afterStep ?? null,
        limit,
      )
      return rows.map(({ step, ...rest }) => ({ step: Number(step), ...rest }))
    },
  }
}

async function resolveRun(db: Sql, word: string): Promise<string | undefined> {
  if (!ID_PREFIX.test(word)) return undefined
  const rows = await db.rows<{ id: string }>(`SELECT id FROM run WHERE ${PREFIX} ORDER BY id LIMIT 5`, word)
  if (rows.length > 1)
    throw new AmbiguousIdError(
      word,
      rows.map(({ id }) => id),
    )
  return rows[0]?.id
}

interface DetailRow extends RunRow {
  readonly spec: RunSpec
  readonly semantics: number
  readonly summary: Record<string, number | string>
  readonly downstream: number
}

const DETAIL = `
  SELECT ${RUN_COLUMNS}, r.spec, r.semantics, r.summary, (SELECT count(*)::int FROM edge e WHERE e.upstream_id = r.id) AS downstream
  FROM run r WHERE r.id = $1::text`
const UPSTREAM = `
  SELECT u.id, u.kind, u.state FROM edge e JOIN run u ON u.id = e.upstream_id WHERE e.downstream_id = $1::text ORDER BY u.level, u.id`
const ATTEMPTS = `
  SELECT id, number, state, ending, message, worker_id AS worker, micro_batch AS "microBatch", started_at AS "startedAt", ended_at AS "endedAt"
  FROM attempt WHERE run_id = $1::text ORDER BY number`
const ARTIFACTS = `SELECT name, sha256, size_bytes FROM artifact WHERE run_id = $1::text ORDER BY name`
const GRIDS = `
  SELECT g.id, g.name FROM grid_run gr JOIN grid g ON g.id = gr.grid_id WHERE gr.run_id = $1::text ORDER BY g.seq`

async function runDetail(db: Sql, id: string): Promise<RunDetail | undefined> {
  const [row] = await db.rows<DetailRow>(DETAIL, id)
  if (!row) return undefined
  const artifacts = await db.rows<{ name: string; sha256: string; size_bytes: bigint }>(ARTIFACTS, id)
  return {
    ...toRunSummary(row),
    spec: row.spec,
    semantics: row.semantics,
    summary: row.summary,
    downstream: row.downstream,
    upstream: await db.rows<RunDetail['upstream'][number]>(UPSTREAM, id),
    attemptList: await db.rows<RunDetail['attemptList'][number]>(ATTEMPTS, id),
    artifacts: artifacts.map(({ name, sha256, size_bytes }) => ({ name, sha256, sizeBytes: Number(size_bytes) })),
    grids: await db.rows<RunDetail['grids'][number]>(GRIDS, id),
  }
}
