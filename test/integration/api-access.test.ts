/** Keys, audit and actions on a real database: the first key made directly, the others over HTTP. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRunStore, type RunStore } from '#libs/run-store'
import { createTestDatabase, type TestDatabase } from '#libs/testkit'
import type { Terminal } from '../../apps/cli/src/commands/context.ts'
import { main } from '../../apps/cli/src/main.ts'
import { apiOnStore } from './fixtures/api-on-store.ts'

let database: TestDatabase
let store: RunStore
let folder: string
let app: FastifyInstance
let admin: string

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const GRID = {
  name: 'access',
  preset: 'tiny-cpu',
  dataset: 'nih',
  ehr: ['sex'],
  evaluations: [{ mode: ['linear-cached'], labels: ['view', 'findings'] }],
}

async function cli(...args: string[]) {
  const printed: string[] = []
  const terminal: Terminal = { print: (text) => printed.push(text), note: () => undefined, isTty: false, now: () => 0 }
  return { code: await main(args, terminal), out: printed.join('\n') }
}

beforeAll(async () => {
  database = await createTestDatabase()
  store = await openRunStore({ databaseUrl: database.url, poolSize: 4 })
  await store.datasets.register({ name: 'nih', kind: 'nih14', root: '/nowhere', fingerprint: '1'.repeat(64) })
  folder = await mkdtemp(join(tmpdir(), 'cxrlab-access-'))
  app = await apiOnStore(store, folder, { auth: 'keys' })
  process.env.DATABASE_URL = database.url
  const made = await cli('keys', 'create', '--direct', '--owner', 'root', '--role', 'admin', '--name', 'first')
  delete process.env.DATABASE_URL
  expect(made.code).toBe(0)
  admin = made.out
})

afterAll(async () => {
  await app?.close()
  await store?.close()
  await database?.drop()
  await rm(folder, { recursive: true, force: true })
})

const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, key: string, payload?: object) =>
  await app.inject({ method, url, headers: bearer(key), ...(payload && { payload }) })

async function keyOf(owner: string, role: string) {
  return (await ask('POST', '/v1/keys', admin, { name: 'test', owner, role })).json() as { id: string; key: string }
}

describe('access on a real database', () => {
  it('begins with a key that was made directly, of which only the hash is stored', async () => {
    expect(admin).toMatch(/^cxrlab_/)
    expect((await ask('GET', '/v1/keys', admin)).json().items).toMatchObject([{ owner: 'root', name: 'first', role: 'admin' }])
    expect((await ask('GET', '/v1/audit', admin)).json().items).toMatchObject([{ actor: 'database', action: 'key.create' }])
  })

  it('gives grids the owner of the key, and refuses the key after it was revoked', async () => {
    const ann = await keyOf('ann', 'submit')
    const bob = await keyOf('bob', 'submit')
    const made = await ask('POST', '/v1/grids', ann.key, GRID)
    expect(made.statusCode).toBe(201)
    expect((await ask('GET', `/v1/grids/${made.json().gridId}`, bob.key)).json()).toMatchObject({ owner: 'ann' })
    // The same words of another owner are another grid, on the same runs.
    const other = await ask('POST', '/v1/grids', bob.key, GRID)
    expect(other.statusCode).toBe(201)
    expect(other.json()).toMatchObject({ runs: { new: 0, joined: 4 } })
    expect(other.json().gridId).not.toBe(made.json().gridId)
    const cancelled = (await ask('POST', `/v1/grids/${other.json().gridId}/cancel`, bob.key)).json()
    expect(cancelled).toMatchObject({ matched: 4, changed: 0, refused: 4 })
    expect(cancelled.refusals[0]).toMatchObject({ reason: 'wanted-by-another-grid' })
    expect((await ask('DELETE', `/v1/keys/${bob.id}`, admin)).statusCode).toBe(204)
    expect((await ask('GET', '/v1/grids', bob.key)).statusCode).toBe(401)
  })

  it('notes who paused what, and when a key was used last', async () => {
    const { id, key } = await keyOf('carol', 'submit')
    const [run] = (await ask('GET', '/v1/runs?kind=pretrain', key)).json().items
    const paused = await ask('POST', `/v1/runs/${run.id}/pause`, key)
    expect(paused.json()).toMatchObject({ id: run.id, state: 'paused', changed: 1, refused: 0 })
    const again = await ask('POST', `/v1/runs/${run.id}/pause`, key)
    expect(again.json()).toMatchObject({ state: 'paused', changed: 0 })
    const { items } = (await ask('GET', `/v1/audit?subject=${run.id}`, admin)).json()
    expect(items).toMatchObject([
      { data: { changed: 0 } },
      { actor: 'carol/test', action: 'run.pause', data: { changed: 1, status: 200 } },
    ])
    const keys = (await ask('GET', '/v1/keys', admin)).json().items as { id: string; lastUsedAt: string | null }[]
    expect(keys.find((each) => each.id === id)?.lastUsedAt).not.toBeNull()
  })

  it('acts on a selection, and tells which runs were refused and why', async () => {
    const { key } = await keyOf('dora', 'submit')
    const resumed = await ask('POST', '/v1/runs/actions', key, { action: 'resume', filter: { kind: 'pretrain' } })
    expect(resumed.json()).toMatchObject({ matched: 1, changed: 1, refused: 0 })
    const prior = await ask('POST', '/v1/runs/actions', key, { action: 'priority', priority: 7, filter: { grid: 'access' } })
    expect(prior.json()).toMatchObject({ matched: 4, changed: 4 })
    const retried = await ask('POST', '/v1/runs/actions', key, { action: 'retry', filter: {}, all: true })
    expect(retried.json()).toMatchObject({ matched: 4, changed: 0, refused: 4 })
    expect(retried.json().refusals[0]).toMatchObject({ reason: 'wrong-state' })
  })
})
