/** A database a test file, cloned in about 30 ms from a template that was migrated once a run. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { migrate } from '#libs/run-store'
import { testPostgresUrl } from './postgres.ts'

const TEMPLATE = 'cxrlab_template'
/** Advisory lock of the template: one process makes it. */
const TEMPLATE_LOCK = 617_001
const SESSIONS_CLOSE_WITHIN_MS = 3000

export interface TestDatabase {
  readonly url: string
  /** Drops it. Throws where sessions were left open: whoever opened a pool must close it. */
  drop(): Promise<void>
}

/** A migrated database of one's own. Call `drop` in afterAll, after everything that uses it was closed. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return make((client, name) => client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`), true)
}

/** A database without any table, for tests of migrations. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  return make((client, name) => client.query(`CREATE DATABASE ${name} TEMPLATE template0`), false)
}

async function make(create: (client: pg.Client, name: string) => Promise<unknown>, fromTemplate: boolean): Promise<TestDatabase> {
  const server = await testPostgresUrl()
  const name = `t_${randomUUID().replaceAll('-', '')}`
  await withSession(server, async (client) => {
    // Held while cloning too: Postgres refuses to clone a template that somebody is connected to.
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK])
    if (fromTemplate) await ensureTemplate(client, server)
    await create(client, name)
  })
  return { url: databaseUrl(server, name), drop: () => dropDatabase(server, name) }
}

async function ensureTemplate(client: pg.Client, server: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [TEMPLATE])
  if (rowCount) return
  const part = `${TEMPLATE}_part`
  await client.query(`DROP DATABASE IF EXISTS ${part}`)
  await client.query(`CREATE DATABASE ${part} TEMPLATE template0`)
  await migrate(databaseUrl(server, part))
  await noSessions(client, part)
  await client.query(`ALTER DATABASE ${part} RENAME TO ${TEMPLATE}`)
}

async function dropDatabase(server: string, name: string): Promise<void> {
  await withSession(server, async (client) => {
    const left = await noSessions(client, name)
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    if (left.length > 0) throw new Error(`a test left ${left.length} database session(s) open; last queries: ${left.join(' | ')}`)
  })
}

/** Waits until nobody is connected (a closed session lingers for some milliseconds); gives the last queries of who stays. */
async function noSessions(client: pg.Client, name: string): Promise<readonly string[]> {
  const deadline = performance.now() + SESSIONS_CLOSE_WITHIN_MS
  for (;;) {
    const { rows } = await client.query<{ query: string }>(
      'SELECT left(query, 120) AS query FROM pg_stat_activity WHERE datname = $1',
      [name],
    )
    if (rows.length === 0 || performance.now() > deadline) return rows.map((row) => row.query)
    await delay(20)
  }
}

async function withSession<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
