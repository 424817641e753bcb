/** Grids as people ask for them: lists, one grid, its points with states and results. */
import type { ExperimentPoint } from '#libs/experiments'
import {
  AmbiguousIdError,
  type GridResultRow,
  type GridSummary,
  hasEnded,
  type LabReader,
  type LedgerRow,
  type RunState,
} from '#libs/runs'
import type { Sql } from './database.ts'
import { ID_PREFIX, keyOf, PREFIX, toPage } from './paging.ts'
import { type CountRow, countsByKind, stateCounts } from './state-counts.ts'

interface GridRow {
  readonly id: string
  readonly seq: bigint
  readonly name: string
  readonly owner: string
  readonly created_at: Date
  readonly points: number
}

const GRID_COLUMNS = `g.id, g.seq, g.name, g.owner, g.created_at, (SELECT count(*)::int FROM grid_point p WHERE p.grid_id = g.id) AS points`

const COUNTS = `
  SELECT gr.grid_id, r.kind, r.state, count(*)::int AS count
  FROM grid_run gr JOIN run r ON r.id = gr.run_id WHERE gr.grid_id = ANY($1::text[]) GROUP BY 1, 2, 3`

// The evaluation's state speaks for the point; its message says what went wrong above it, too.
const LEDGER = `
  SELECT p.index, p.point, e.state, t.state AS pretrain_state, COALESCE(e.message, t.message) AS message
  FROM grid_point p JOIN run e ON e.id = p.evaluate_run_id JOIN run t ON t.id = p.pretrain_run_id
  WHERE p.grid_id = $1::text AND p.index > COALESCE($2::bigint, -1) ORDER BY p.index LIMIT $3::int`

const RESULTS = `
  SELECT p.point, e.state, x.label, x.metric, x.value, x.low, x.high
  FROM grid_point p JOIN run e ON e.id = p.evaluate_run_id JOIN result x ON x.run_id = e.id
  WHERE p.grid_id = $1::text ORDER BY p.index, x.metric, x.label`

const summary = (row: GridRow, counts: readonly CountRow[]): GridSummary => ({
  id: row.id,
  name: row.name,
  owner: row.owner,
  createdAt: row.created_at,
  points: row.points,
  runs: stateCounts(counts),
  ended: counts.every(({ state }) => hasEnded(state)),
})

type GridReader = Pick<LabReader, 'grids' | 'grid' | 'ledger' | 'results' | 'resolveGrid'>

export function createGridReader(db: Sql): GridReader {
  const countsOf = (ids: readonly string[]) => db.rows<CountRow & { grid_id: string }>(COUNTS, [...ids])
  return {
    /** Newest first. */
    async grids(page) {
      const rows = await db.rows<GridRow>(
        `SELECT ${GRID_COLUMNS} FROM grid g WHERE ($1::bigint IS NULL OR g.seq < $1::bigint) ORDER BY g.seq DESC LIMIT $2::int`,
        keyOf(page),
        page.limit + 1,
      )
      const counts = await countsOf(rows.map(({ id }) => id))
      return toPage(
        rows,
        page,
        ({ seq }) => seq,
        (row) =>
          summary(
            row,
            counts.filter(({ grid_id }) => grid_id === row.id),
          ),
      )
    },

    async grid(id) {
      const [row] = await db.rows<GridRow>(`SELECT ${GRID_COLUMNS} FROM grid g WHERE g.id = $1::text`, id)
      if (!row) return undefined
      const counts = await countsOf([id])
      return { ...summary(row, counts), byKind: countsByKind(counts) }
    },

    async ledger(gridId, page) {
      interface Row {
        readonly index: number
        readonly point: ExperimentPoint
        readonly state: RunState
        readonly pretrain_state: RunState
        readonly message: string | null
      }
      const rows = await db.rows<Row>(LEDGER, gridId, keyOf(page), page.limit + 1)
      const item = ({ point, state, pretrain_state, message }: Row): LedgerRow => {
        return { point, state, pretrainState: pretrain_state, message }
      }
      return toPage(rows, page, ({ index }) => index, item)
    },

    results: (gridId) => db.rows<GridResultRow>(RESULTS, gridId),
    resolveGrid: (word) => resolveGrid(db, word),
  }
}

/** A name goes before a prefix that fits several grids, since a name may look like one. */
async function resolveGrid(db: Sql, word: string): Promise<string | undefined> {
  const isPrefix = ID_PREFIX.test(word)
  const byId = isPrefix ? await db.rows<{ id: string }>(`SELECT id FROM grid WHERE ${PREFIX} ORDER BY id LIMIT 5`, word) : []
  if (byId.length === 1) return byId[0]?.id
  const [byName] = await db.rows<{ id: string }>('SELECT id FROM grid WHERE name = $1::text ORDER BY seq DESC LIMIT 1', word)
  if (byName) return byName.id
  if (byId.length > 1)
    throw new AmbiguousIdError(
      word,
      byId.map(({ id }) => id),
    )
  return undefined
}
