import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './postgres.ts'

let folder: string
const started: EmbeddedPostgres[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cxrlab-embedded-'))
  await chmod(folder, 0o711)
})
afterAll(async () => {
  for (const server of started) await server.stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(options = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(join(folder, 'data'), options)
  started.push(server)
  return server
}

async function ask<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('the embedded Postgres', () => {
  it('is shared by who comes second, who cannot stop it', async () => {
    const first = await start()
    const second = await start()
    expect(first.shared).toBe(false)
    expect(second).toMatchObject({ shared: true, pid: first.pid, url: first.url })
    await second.stop()
    expect(await ask(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('keeps what was committed over a stop', async () => {
    const [first] = started
    await ask(first!.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
    await first!.stop()
    expect(isAlive(first!.pid)).toBe(false)
    const again = await start()
    expect(again.shared).toBe(false)
    expect(await ask(again.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  })

  it('listens on loopback alone', async () => {
    const rows = await ask<{ listen_addresses: string }>(started.at(-1)!.url, 'SHOW listen_addresses')
    expect(rows).toEqual([{ listen_addresses: '127.0.0.1' }])
  })

  it('that cannot start says why, with the end of its log, and leaves no process', async () => {
    await started.at(-1)!.stop()
    const failed = start({ settings: { no_such_setting: '1' }, log: join(folder, 'failed.log') })
    await expect(failed).rejects.toMatchObject({ code: 'embedded-postgres', message: expect.stringContaining('no_such_setting') })
    expect(await readFile(join(folder, 'failed.log'), 'utf8')).toContain('no_such_setting')
  })
})
