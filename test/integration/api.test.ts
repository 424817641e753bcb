import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openRunStore, type RunStore } from '#libs/run-store'
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '#libs/testkit'
import { apiOnStore } from './fixtures/api-on-store.ts'

const SERVER = fileURLToPath(new URL('../../apps/api/src/server.ts', import.meta.url))
const GRID = {
  name: 'integration',
  preset: 'tiny-cpu',
  dataset: 'nih',
  method: ['msn', 'none'],
  ehr: ['vanilla', 'sex'],
  evaluations: [{ mode: ['linear-cached'], labels: ['findings', 'view'] }],
}

let database: TestDatabase
let store: RunStore
let folder: string
let app: FastifyInstance

beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'cxrlab-api-'))
  store = await openRunStore({ databaseUrl: database.url, poolSize: 4 })
  await store.datasets.register({ name: 'nih', kind: 'nih14', root: folder, fingerprint: '1'.repeat(64) })
  app = await apiOnStore(store, folder)
})

afterAll(async () => {
  await app?.close()
  await store?.close()
  await database?.drop()
  await rm(folder, { recursive: true, force: true })
})

const post = async (url: string, payload?: object, headers: Record<string, string> = {}) =>
  await app.inject({ method: 'POST', url, headers, ...(payload && { payload }) })

async function gridsThere(): Promise<number> {
  return (await app.inject('/v1/grids')).json().items.length
}

describe('a grid on a real database', () => {
  it('is planned without a trace, made once, and found again', async () => {
    const dry = await post('/v1/grids?dryRun=true', GRID)
    // 3 pretrainings (vanilla, sex, none) x 2 label sets; one prepare.
    expect(dry.json()).toMatchObject({ dryRun: true, points: 6, runs: { new: 10, reused: 0, joined: 0 } })
    expect(await gridsThere()).toBe(0)

    const made = await post('/v1/grids', GRID)
    expect(made.statusCode).toBe(201)
    expect(made.json().gridId).toBe(dry.json().gridId)
    const again = await post('/v1/grids', GRID)
    expect(again.statusCode).toBe(200)
    expect(again.json()).toMatchObject({ created: false, gridId: made.json().gridId, runs: { new: 0 } })
    expect(await gridsThere()).toBe(1)

    const grid = (await app.inject('/v1/grids/integration')).json()
    expect(grid).toMatchObject({ id: made.json().gridId, points: 6, ended: false, runs: { queued: 2, blocked: 8 } })
    expect((await app.inject(`/v1/grids/${grid.id}/points?limit=4`)).json()).toMatchObject({ items: { length: 4 } })
  })

  it('pages runs without a gap or a double', async () => {
    const ids: string[] = []
    let cursor: string | null = null
    do {
      const url: string = `/v1/runs?limit=3${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
      const page: { items: { id: string }[]; nextCursor: string | null } = (await app.inject(url)).json()
      ids.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(ids).toHaveLength(10)
    expect(new Set(ids).size).toBe(10)
    expect((await app.inject('/v1/runs?cursor=nonsense')).json()).toMatchObject({ status: 400, code: 'cursor-invalid' })
  })

  it('tells why a run waits, and takes a prefix for its id', async () => {
    const blocked = (await app.inject('/v1/runs?state=blocked&kind=evaluate')).json().items[0]
    const why = (await app.inject(`/v1/runs/${blocked.id.slice(0, 16)}/why`)).json()
    expect(why).toMatchObject({ state: 'blocked', waitsFor: expect.any(Array) })
    expect(why.waitsFor.length).toBeGreaterThan(0)
    expect((await app.inject(`/v1/runs/${blocked.id.slice(0, 16)}`)).json()).toMatchObject({
      id: blocked.id,
      upstream: { length: 2 },
    })
  })

  it('refuses another request under the same idempotency key', async () => {
    const named = { ...GRID, name: 'keyed' }
    expect((await post('/v1/grids', named, { 'idempotency-key': 'k' })).statusCode).toBe(201)
    expect((await post('/v1/grids', named, { 'idempotency-key': 'k' })).statusCode).toBe(200)
    const other = await post('/v1/grids', { ...named, seed: [7] }, { 'idempotency-key': 'k' })
    expect(other.statusCode).toBe(409)
    expect(other.json()).toMatchObject({ code: 'idempotency-conflict' })
  })

  it('writes nothing of an invalid request', async () => {
    const before = await gridsThere()
    const answer = await post('/v1/grids', { ...GRID, name: 'bad', ehr: ['sex', 'icu'] })
    expect(answer.json().errors).toMatchObject([{ code: 'variable-not-in-dataset', path: '/ehr/1' }])
    expect(await gridsThere()).toBe(before)
  })

  it('streams what happens while it happens', async () => {
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const gone = new AbortController()
    const last = (await app.inject('/v1/events?limit=1000')).json().nextAfter
    const response = await fetch(`http://127.0.0.1:${port}/v1/events?after=${last}`, {
      headers: { accept: 'text/event-stream' },
      signal: gone.signal,
    })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await post('/v1/grids', { ...GRID, name: 'while-streaming', seed: [99] })
    let text = ''
    await vi.waitFor(async () => {
      text += new TextDecoder().decode((await reader.read()).value)
      expect(text).toMatch(/^id: \d+\nevent: \S+\ndata: \{/m)
    })
    gone.abort()
  })

  it('is cancelled, with what only it wants, and then has ended', async () => {
    const made = (await post('/v1/grids', { ...GRID, name: 'cancelled', seed: [5] })).json()
    const answer = (await post(`/v1/grids/${made.gridId}/cancel`)).json()
    expect(answer.changed).toBeGreaterThan(0)
    const grid = (await app.inject(`/v1/grids/${made.gridId}`)).json()
    expect(grid.runs.cancelled).toBe(answer.changed)
    // The pack is wanted by the other grids too.
    expect(grid.byKind.prepare).toMatchObject({ queued: 1, cancelled: 0 })
  })

  it('is counted at /metrics', async () => {
    const { body } = await app.inject('/metrics')
    expect(body).toMatch(/cxrlab_runs\{kind="prepare",state="queued"\} 1\n/)
    expect(body).toMatch(/cxrlab_outbox_rows [1-9]/)
  })
})

describe('the process of the api', () => {
  async function serve(environment: Record<string, string>) {
    const child = spawn(process.execPath, ['--import', 'tsx', SERVER], {
      env: { PATH: process.env.PATH ?? '', OBJECT_STORE_URL: pathToFileURL(folder).href, API_PORT: '0', ...environment },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const output = { out: '', err: '' }
    child.stdout.on('data', (chunk) => {
      output.out += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      output.err += String(chunk)
    })
    const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
    return { child, output, exit }
  }

  it('serves, and ends with 0 on SIGTERM', async () => {
    const { child, output, exit } = await serve({ DATABASE_URL: database.url })
    await vi.waitFor(() => expect(output.out).toContain('Server listening'), 30_000)
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output.out)?.[0]
    expect((await fetch(`${url}/readyz`, { headers: { connection: 'close' } })).status).toBe(200)
    child.kill('SIGTERM')
    expect(await exit).toBe(0)
  })

  it('says in one line that the schema is another, and exits with 1', async () => {
    const empty = await createEmptyDatabase()
    const { output, exit } = await serve({ DATABASE_URL: empty.url })
    expect(await exit).toBe(1)
    expect(output.err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^cxrlab api: the database lacks .*prisma migrate deploy/),
    ])
    await empty.drop()
  })

  it('says in one line that its port is taken, and exits with 1', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    const { output, exit } = await serve({ DATABASE_URL: database.url, API_PORT: String(port) })
    expect(await exit).toBe(1)
    expect(output.err.trimEnd()).toBe(`cxrlab api: port ${port} is in use; choose another with API_PORT`)
    await new Promise<void>((resolve) => taken.close(() => resolve()))
  })

  it('says in one line that the database does not answer, and exits with 1', async () => {
    const { output, exit } = await serve({ DATABASE_URL: 'postgresql://lab:hunter2@127.0.0.1:9/lab' })
    expect(await exit).toBe(1)
    expect(output.err.trimEnd().split('\n')).toEqual([expect.stringMatching(/^cxrlab api: the database does not answer/)])
    expect(output.err + output.out).not.toContain('hunter2')
  })

  it('names every wrong variable, and exits with 1', async () => {
    const { output, exit } = await serve({ API_PORT: 'x', API_HOST: '0.0.0.0', API_AUTH: 'off' })
    expect(await exit).toBe(1)
    for (const name of ['API_PORT', 'API_AUTH', 'DATABASE_URL']) expect(output.err).toContain(name)
  })
})
