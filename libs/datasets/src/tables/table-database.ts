/** Raw tables in a DuckDB database in memory, for derivations in SQL. */
import { availableParallelism } from 'node:os'
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { SpecError } from '#libs/training'
import type { InventoryTable } from '../record.ts'

export interface DatabaseLimits {
  readonly memoryLimitMb: number
  readonly threads: number
}

/** The tables of MIMIC-CXR-JPG and MIMIC-IV at their true size need about half of it. */
const MEMORY_LIMIT_MB = 512
const MOST_THREADS = 4

/** A condition that no row may meet. */
export interface RowRule {
  readonly column: string
  /** SQL condition over the table's columns. */
  readonly broken: string
  readonly problem: string
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Opens an empty database, and closes it after `work`. Nothing is spilled to disk: rows of patients stay in this process. */
export async function withTableDatabase<T>(
  work: (database: TableDatabase) => Promise<T>,
  limits: DatabaseLimits = { memoryLimitMb: MEMORY_LIMIT_MB, threads: Math.min(MOST_THREADS, availableParallelism()) },
): Promise<T> {
  // Loaded on demand: most processes that know data sets derive nothing.
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${limits.memoryLimitMb}MB`,
    threads: String(limits.threads),
    temp_directory: '',
    // Nothing is fetched from the network.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const connection = await instance.connect()
  try {
    return await work(new TableDatabase(connection))
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

export class TableDatabase {
  readonly #connection: DuckDBConnection

  constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  /**
   * Makes table `name` of the columns of a CSV file (.csv or .csv.gz), all text, NULL where a cell is empty, in the file's order.
   * @throws SpecError that names file and column where a column is missing, or file and line where the text is not CSV.
   */
  async load(name: string, table: InventoryTable, columns: readonly string[]): Promise<void> {
    const path = await table.files.localPath(table.file)
    const scan = `read_csv(${literal(path)}, all_varchar = true, header = true, delim = ',', quote = '"', escape = '"')`
    try {
      const header = await this.#connection.run(`SELECT * FROM ${scan} LIMIT 0`)
      const present = header.columnNames()
      const missing = columns.find((column) => !present.includes(column))
      if (missing) throw new SpecError('the table lacks a column', { file: table.name, line: 1, field: missing })
      await this.run(`CREATE TABLE ${name} AS SELECT ${columns.map(quoted).join(', ')} FROM ${scan}`)
    } catch (error) {
      throw error instanceof SpecError ? error : unreadable(error, table)
    }
  }

  async run(sql: string): Promise<void> {
    await this.#connection.run(sql)
  }

  /** The first column of the first row. */
  async value(sql: string): Promise<unknown> {
    const [row] = await (await this.#connection.run(sql)).getRows()
    return row?.[0]
  }

  /** Chunks of the result, so that other work of the process gets its turn between them. */
  async *chunks(sql: string): AsyncIterable<DuckDBDataChunk> {
    yield* await this.#connection.stream(sql)
  }

  /** @throws SpecError with file, line and column of the first row that breaks a rule. Lines are counted as rows after the header. */
  async check(name: string, table: InventoryTable, rules: readonly RowRule[]): Promise<void> {
    const firsts = rules.map(({ broken }) => `min(CASE WHEN ${broken} THEN rowid END)::INTEGER`)
    const [row] = await (await this.#connection.run(`SELECT ${firsts.join(', ')} FROM ${name}`)).getRows()
    for (const [at, rule] of rules.entries()) refuseRow(row?.[at], table, rule)
  }

  /** @throws SpecError for the second row with the same key. */
  async checkUnique(name: string, table: InventoryTable, column: string, what: string): Promise<void> {
    const key = quoted(column)
    const second = await this.value(
      `SELECT min(rowid)::INTEGER FROM ${name} ANTI JOIN (SELECT min(rowid) AS first FROM ${name} GROUP BY ${key}) ON rowid = first`,
    )
    refuseRow(second, table, { column, problem: `${what} is listed already` })
  }
}

function refuseRow(rowid: unknown, table: InventoryTable, { column, problem }: Pick<RowRule, 'column' | 'problem'>): void {
  if (typeof rowid !== 'number') return
  throw new SpecError(problem, { file: table.name, line: rowid + 2, field: column })
}

/** DuckDB's own message repeats the row, and so does not go on. */
function unreadable(error: unknown, table: InventoryTable): SpecError {
  const line = /Line: (\d+)/.exec(String(error))?.[1]
  const where = line === undefined ? { file: table.name } : { file: table.name, line: Number(line) }
  return new SpecError('the table is not valid CSV', where)
}
