import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assertSchema, MIGRATIONS_DIR, migrate, schemaState } from '#libs/run-store'
import { createEmptyDatabase, type TestDatabase } from '#libs/testkit'

const run = promisify(execFile)

describe('migrating', () => {
  let database: TestDatabase
  let folder: string
  beforeAll(async () => {
    database = await createEmptyDatabase()
    folder = await mkdtemp(join(tmpdir(), 'cxrlab-migrations-'))
    await cp(MIGRATIONS_DIR, folder, { recursive: true })
  })
  afterAll(async () => {
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  const addMigration = async (name: string, sql: string) => {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'migration.sql'), sql)
  }

  it('leaves the very schema and rows that "prisma migrate deploy" leaves, and Prisma finds nothing to do afterwards', async () => {
    const other = await createEmptyDatabase()
    try {
      const prisma = (...args: string[]) => run('npx', ['prisma', ...args], { env: { ...withUrl(database.url) } })
      await prisma('migrate', 'deploy')
      await migrate(other.url)
      const ours = await dump(other.url)
      expect(ours).toEqual(await dump(database.url))
      expect(ours.columns.length).toBeGreaterThan(100)
      const status = await run('npx', ['prisma', 'migrate', 'status'], { env: withUrl(other.url) })
      expect(status.stdout).toContain('Database schema is up to date')
      const drift = ['prisma', 'migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma', '--script']
      expect((await run('npx', drift, { env: withUrl(other.url) })).stdout.trim()).toBe('-- This is an empty migration.')
    } finally {
      await other.drop()
    }
  })

  it('does nothing the second time', async () => {
    expect(await migrate(database.url)).toEqual([])
    expect(await schemaState(database.url)).toEqual({ state: 'up-to-date' })
  })

  it('refuses a database that lacks a migration, with one line that says what to do', async () => {
    await addMigration('29990101000000_next', 'CREATE TABLE next (id int);')
    expect(await schemaState(database.url, folder)).toEqual({ state: 'behind', missing: ['29990101000000_next'] })
    const error = await assertSchema(database.url, folder).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'schema-mismatch' })
    expect(error.message).toMatch(/^the database lacks 29990101000000_next: run "npx prisma migrate deploy".*$/)
    expect(await migrate(database.url, folder)).toEqual(['29990101000000_next'])
    await assertSchema(database.url, folder)
  })

  it('refuses a database that a newer release has migrated', async () => {
    expect(await schemaState(database.url)).toEqual({ state: 'ahead', unknown: ['29990101000000_next'] })
    await expect(assertSchema(database.url)).rejects.toMatchObject({ code: 'schema-mismatch' })
  })

  it('refuses a migration that was edited after it was applied', async () => {
    await writeFile(join(folder, '29990101000000_next', 'migration.sql'), 'CREATE TABLE next (id bigint);')
    await expect(migrate(database.url, folder)).rejects.toThrow('29990101000000_next was edited')
    await writeFile(join(folder, '29990101000000_next', 'migration.sql'), 'CREATE TABLE next (id int);')
  })

  it('leaves nothing of a migration that fails, and refuses to go on until it is resolved', async () => {
    await addMigration('29990102000000_broken', 'CREATE TABLE half_done (id int); SELECT 1/0;')
    await expect(migrate(database.url, folder)).rejects.toMatchObject({
      code: 'migration-failed',
      migration: '29990102000000_broken',
    })
    expect((await dump(database.url)).columns.filter((column) => column.includes('half_done'))).toEqual([])
    await expect(migrate(database.url, folder)).rejects.toThrow('failed before')
  })

  it('takes turns when two services migrate at once', async () => {
    const both = await createEmptyDatabase()
    try {
      const applied = await Promise.all([migrate(both.url), migrate(both.url)])
      expect(applied.flat()).toEqual([...new Set(applied.flat())])
      expect(await schemaState(both.url)).toEqual({ state: 'up-to-date' })
    } finally {
      await both.drop()
    }
  })
})

/** The environment of the command line, with another database. */
const withUrl = (url: string) => ({ ...process.env, DATABASE_URL: url })

/** Columns, constraints, indexes and migration rows, without what differs between any two databases (ids, times). */
async function dump(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const lines = async (sql: string) => (await client.query<{ line: string }>(sql)).rows.map((row) => row.line)
  try {
    return {
      columns: await lines(`
        SELECT concat_ws(' ', table_name, column_name, ordinal_position, data_type, character_maximum_length, is_nullable, column_default) AS line
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`),
      constraints: await lines(`
        SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS line
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1`),
      indexes: await lines(`SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`),
      triggers: await lines(
        `SELECT concat_ws(' ', event_object_table, trigger_name, action_statement) AS line FROM information_schema.triggers ORDER BY 1`,
      ),
      migrations: await lines(`
        SELECT concat_ws(' ', migration_name, checksum, applied_steps_count, finished_at IS NOT NULL, rolled_back_at IS NULL, logs) AS line
        FROM _prisma_migrations ORDER BY 1`),
    }
  } finally {
    await client.end()
  }
}
