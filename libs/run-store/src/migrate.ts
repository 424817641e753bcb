/**
 * `prisma migrate deploy` in plain SQL: the same table, checksums and lock, without command line or engine. For the embedded
 * start and for images. A test compares both (test/integration/run-store-migrate.test.ts): Prisma's versions are pinned.
 */
import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { MigrationFailedError, SchemaMismatchError } from './errors.ts'

/** Prisma's own advisory lock: our migration and its `deploy` never run at once. */
const PRISMA_LOCK = 72_707_369

const MIGRATION_TABLE = `CREATE TABLE _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)`

/** The migrations that belong to this code. */
export const MIGRATIONS_DIR = fileURLToPath(new URL('../../../prisma/migrations', import.meta.url))

export type SchemaState =
  | { readonly state: 'up-to-date' }
  /** Migrations that the database lacks. */
  | { readonly state: 'behind'; readonly missing: readonly string[] }
  /** Migrations of a newer release, which this code does not know. */
  | { readonly state: 'ahead'; readonly unknown: readonly string[] }

interface AppliedMigration {
  readonly migration_name: string
  readonly checksum: string
  readonly finished_at: Date | null
  readonly rolled_back_at: Date | null
}

/**
 * Applies what the database lacks, oldest first, each migration all or nothing; gives the names of those applied.
 * @throws MigrationFailedError where one fails or failed before; SchemaMismatchError where an applied one was edited since.
 */
export async function migrate(databaseUrl: string, dir: string = MIGRATIONS_DIR): Promise<readonly string[]> {
  return withClient(databaseUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK])
    if (!(await hasMigrationTable(client))) await client.query(MIGRATION_TABLE)
    const rows = await migrationRows(client)
    const failed = rows.find((row) => !row.finished_at && !row.rolled_back_at)
    if (failed) {
      const name = failed.migration_name
      throw new MigrationFailedError(
        name,
        `migration ${name} failed before: repair the database, then run "prisma migrate resolve"`,
      )
    }
    const done = new Map(rows.filter((row) => !row.rolled_back_at).map((row) => [row.migration_name, row.checksum]))
    const applied: string[] = []
    for (const name of await migrationNames(dir)) {
      const sql = await readFile(join(dir, name, 'migration.sql'), 'utf8')
      const checksum = createHash('sha256').update(sql).digest('hex')
      const before = done.get(name)
      if (before === undefined) {
        await apply(client, name, sql, checksum)
        applied.push(name)
      } else if (before !== checksum) {
        throw new SchemaMismatchError(`migration ${name} was edited after it was applied: add a new migration instead`)
      }
    }
    return applied
  })
}

/** Compares the database's migrations with those in `dir`; writes nothing. */
export async function schemaState(databaseUrl: string, dir: string = MIGRATIONS_DIR): Promise<SchemaState> {
  return withClient(databaseUrl, async (client) => {
    const rows = (await hasMigrationTable(client)) ? await migrationRows(client) : []
    const done = new Set(rows.filter((row) => row.finished_at && !row.rolled_back_at).map((row) => row.migration_name))
    const names = await migrationNames(dir)
    const missing = names.filter((name) => !done.has(name))
    if (missing.length > 0) return { state: 'behind', missing }
    const unknown = [...done].filter((name) => !names.includes(name))
    return unknown.length > 0 ? { state: 'ahead', unknown } : { state: 'up-to-date' }
  })
}

/**
 * For services at their start.
 * @throws SchemaMismatchError with one line that says what to do, unless the schema is exactly this code's.
 */
export async function assertSchema(databaseUrl: string, dir: string = MIGRATIONS_DIR): Promise<void> {
  const found = await schemaState(databaseUrl, dir)
  if (found.state === 'behind') {
    throw new SchemaMismatchError(
      `the database lacks ${found.missing.join(', ')}: run "npx prisma migrate deploy", then start again`,
    )
  }
  if (found.state === 'ahead') {
    throw new SchemaMismatchError(
      `the database has ${found.unknown.join(', ')}, which this release does not know: start a newer release`,
    )
  }
}

async function apply(client: pg.Client, name: string, sql: string, checksum: string): Promise<void> {
  const id = randomUUID()
  await client.query('INSERT INTO _prisma_migrations (id, checksum, started_at, migration_name) VALUES ($1, $2, now(), $3)', [
    id,
    checksum,
    name,
  ])
  try {
    await client.query(sql) // One simple query: all or nothing, as Prisma does it.
  } catch (cause) {
    await client.query('UPDATE _prisma_migrations SET logs = $2 WHERE id = $1', [id, String(cause)])
    throw new MigrationFailedError(name, `migration ${name} failed: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  await client.query('UPDATE _prisma_migrations SET applied_steps_count = 1, finished_at = now() WHERE id = $1', [id])
}

async function withClient<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl })
  // A session that breaks between two queries would otherwise end the process; the next query reports it.
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function hasMigrationTable(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ present: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS present`)
  return rows[0]?.present === true
}

async function migrationRows(client: pg.Client): Promise<readonly AppliedMigration[]> {
  const { rows } = await client.query<AppliedMigration>(
    'SELECT migration_name, checksum, finished_at, rolled_back_at FROM _prisma_migrations ORDER BY started_at, migration_name',
  )
  return rows
}

async function migrationNames(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { withFileTypes: true })
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()
}
