/** Raw tables in a DuckDB database in memory, for derivations in SQL. */
import { availableParallelism } from 'node:os'
import type { DuckDBConnection, DuckDBDataChunk, DuckDBMaterializedResult } from '@duckdb/node-api'
import { SpecError } from '#libs/training'
import type { InventoryTable } from '../record.ts'
import { csvHeader } from './csv-header.ts'

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

/** A statement failed. DuckDB's own message repeats rows of the table, so only its kind goes on ("Out of Memory Error") and a line. */
export class TableDatabaseError extends Error {
  readonly code = 'table-database'
  override readonly name = 'TableDatabaseError'
  /** Line of the file that was read. */
  readonly line: number | undefined
  /** What was read is to blame. */
  readonly isAboutInput: boolean
  constructor(error: unknown) {
    const text = error instanceof Error ? error.message : ''
    const kind = /^[A-Z][A-Za-z ]+ Error(?=:)/.exec(text)?.[0] ?? 'an error of no known kind'
    super(`a statement over raw tables failed: ${kind}`)
    const line = /CSV Error on Line: (\d+)/.exec(text)?.[1]
    this.line = line === undefined ? undefined : Number(line)
    this.isAboutInput = ['Invalid Input Error', 'IO Error', 'Conversion Error'].includes(kind)
  }
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
    const present = await csvHeader(table)
    const missing = columns.find((column) => !present.includes(column))
    if (missing) throw new SpecError('the table lacks a column', { file: table.name, line: 1, field: missing })
    const path = await table.files.localPath(table.file)
    const types = present.map((column) => `${literal(column)}: 'VARCHAR'`).join(', ')
    try {
      // Everything is told: where DuckDB finds out itself, it leaves lines out until the rest looks like a table.
      await this.run(`CREATE TABLE ${name} AS SELECT ${columns.map(quoted).join(', ')} FROM read_csv(${literal(path)},
        auto_detect = false, columns = {${types}}, header = true, delim = ',', quote = '"', escape = '"', strict_mode = true)`)
    } catch (error) {
      throw error instanceof TableDatabaseError && error.isAboutInput ? unreadable(error, table) : error
    }
  }

  async run(sql: string): Promise<void> {
    await this.#query(sql)
  }

  /** The first column of the first row. */
  async value(sql: string): Promise<unknown> {
    const [row] = await (await this.#query(sql)).getRows()
    return row?.[0]
  }

  /** Chunks of the result, so that other work of the process gets its turn between them. */
  async *chunks(sql: string): AsyncIterable<DuckDBDataChunk> {
    try {
      yield* await this.#connection.stream(sql)
    } catch (error) {
      throw new TableDatabaseError(error)
    }
  }

  async #query(sql: string): Promise<DuckDBMaterializedResult> {
    try {
      return await this.#connection.run(sql)
    } catch (error) {
      throw new TableDatabaseError(error)
    }
  }

  /** @throws SpecError with file, line and column of the first row that breaks a rule. Lines are counted as rows after the header. */
  async check(name: string, table: InventoryTable, rules: readonly RowRule[]): Promise<void> {
    const firsts = rules.map(({ broken }) => `min(CASE WHEN ${broken} THEN rowid END)::INTEGER`)
    const [row] = await (await this.#query(`SELECT ${firsts.join(', ')} FROM ${name}`)).getRows()
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

function unreadable({ line }: TableDatabaseError, { name: file }: InventoryTable): SpecError {
  return new SpecError('the table is not valid CSV', line === undefined ? { file } : { file, line })
}
