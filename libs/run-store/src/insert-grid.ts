/** The rows of a new grid and of its new runs; set-based, so that thousands of points take few statements. */
import { type GridPlan, type GridRequest, type RunDraft, runTitle } from '#libs/experiments'
import type { Tx } from './database.ts'
import type { NewRun } from './submission.ts'

/** Class of preparations, whatever the grid asks for: they decode images and need no device. */
const PREPARE_CLASS = 'cpu'

/** Upstreams are lower. A transfer tests what another evaluation trained. */
function levelOf({ kind, spec }: RunDraft): number {
  switch (kind) {
    case 'prepare':
      return 0
    case 'pretrain':
      return 1
    case 'evaluate':
      return spec.kind === 'evaluate' && spec.mode === 'transfer' ? 3 : 2
  }
}

/** Rows a statement: bounds the size of one parameter to a few MB. */
const ROWS_A_STATEMENT = 2000

// In: runs as JSON in plan order, so that `seq` follows it. A run is born blocked, queued where nothing is above it that it waits
// for, or ended under a failed root.
const INSERT_RUNS = `
  INSERT INTO run (id, kind, level, state, spec, semantics, title, dataset_name, dataset_fingerprint, resource_class, priority,
    root_run_id, message, queued_at, ended_at)
  SELECT r.id, r.kind, r.level, r.state, r.spec, r.semantics, r.title,
    r.dataset, r.fingerprint, r.class, $2::int, r.root, r.message,
    CASE WHEN r.state = 'queued' THEN clock_timestamp() END, CASE WHEN r.root IS NULL THEN NULL ELSE clock_timestamp() END
  FROM jsonb_to_recordset($1::jsonb) AS r(n int, id text, kind text, level smallint, spec jsonb, semantics int, title text,
    dataset text, fingerprint text, root text, message text, class text,
    state text)
  ORDER BY r.n`

const INSERT_EDGES = `
  INSERT INTO edge (downstream_id, upstream_id) SELECT * FROM unnest($1::text[], $2::text[])`

const INSERT_GRID = `
  INSERT INTO grid (id, name, owner, request, warnings, priority) VALUES ($1::text, $2::text, $3::text, $4::jsonb, $5::jsonb, $6::int)`

const INSERT_GRID_RUNS = `INSERT INTO grid_run (grid_id, run_id) SELECT $1::text, id FROM unnest($2::text[]) AS id`

const INSERT_POINTS = `
  INSERT INTO grid_point (grid_id, index, evaluate_run_id, pretrain_run_id, point)
  SELECT $1::text, (p.value->>'index')::int, p.value->>'evaluate', p.value->>'pretrain', p.value
  FROM jsonb_array_elements($2::jsonb) AS p(value)`

/** `ready`: those that are born queued; the caller makes their attempts in the same transaction. */
export async function insertRuns(
  tx: Tx,
  runs: readonly NewRun[],
  ready: ReadonlySet<string>,
  request: GridRequest,
): Promise<void> {
  const { priority, resourceClass } = request
  const rows = runs.map(({ draft, failedRoot }, n) => ({
    n,
    id: draft.id,
    kind: draft.kind,
    level: levelOf(draft),
    state: failedRoot ? 'upstream-failed' : ready.has(draft.id) ? 'queued' : 'blocked',
    class: draft.kind === 'prepare' ? PREPARE_CLASS : resourceClass,
    spec: draft.spec,
    semantics: draft.semantics,
    title: runTitle(draft.spec),
    dataset: draft.dataset?.name ?? null,
    fingerprint: draft.dataset?.fingerprint ?? null,
    root: failedRoot?.id ?? null,
    message: failedRoot?.message ?? null,
  }))
  for (const part of chunks(rows)) await tx.rows(INSERT_RUNS, JSON.stringify(part), priority)
  const edges = runs.flatMap(({ draft }) => [...new Set(draft.upstream)].map((upstream) => [draft.id, upstream] as const))
  const downstreamIds = edges.map(([downstream]) => downstream)
  if (edges.length > 0)
    await tx.rows(
      INSERT_EDGES,
      downstreamIds,
      edges.map(([, upstream]) => upstream),
    )
}

export async function insertGrid(tx: Tx, id: string, owner: string, request: GridRequest, plan: GridPlan): Promise<void> {
  await tx.rows(INSERT_GRID, id, request.name, owner, JSON.stringify(request), JSON.stringify(plan.warnings), request.priority)
  await tx.rows(
    INSERT_GRID_RUNS,
    id,
    plan.runs.map((run) => run.id),
  )
  for (const part of chunks(plan.points)) await tx.rows(INSERT_POINTS, id, JSON.stringify(part))
}

function* chunks<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < rows.length; start += ROWS_A_STATEMENT) yield rows.slice(start, start + ROWS_A_STATEMENT)
}
