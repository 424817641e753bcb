/** Collection of garbage over HTTP: what a real database names stays, whatever the age of its objects. */
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ObjectStore, openObjectStore, putArtifact, writeManifest } from '#libs/artifacts'
import { apiOnStore } from './fixtures/api-on-store.ts'
import { finish, freshDataset, idOf, type LabStore, leaseRun, openLabStore, submission } from './fixtures/lab-store.ts'

let lab: LabStore
let folder: string
let objects: ObjectStore
let app: FastifyInstance

beforeAll(async () => {
  lab = await openLabStore()
  folder = await mkdtemp(join(tmpdir(), 'cxrlab-gc-'))
  objects = await openObjectStore(pathToFileURL(folder).href)
  app = await apiOnStore(lab.store, folder)
})

afterAll(async () => {
  await app?.close()
  await lab?.close()
  await rm(folder, { recursive: true, force: true })
})

async function age(): Promise<void> {
  const longAgo = new Date('2020-01-01T00:00:00Z')
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), longAgo, longAgo)
  }
}

async function keys(): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of objects.list('')) found.push(key)
  return found
}

const collect = async (payload: object) => (await app.inject({ method: 'POST', url: '/v1/garbage', payload })).json()
const put = async (runId: string, name: string) => await putArtifact(objects, runId, name, Buffer.from(name))

describe('POST /v1/garbage on a real database', () => {
  it('keeps what artifacts, checkpoints, manifests and live runs name, and takes the rest', async () => {
    const grid = submission(await freshDataset(lab.store))
    await lab.store.grids.submit(grid)
    const [prepare, pretrain, evaluate] = [idOf(grid, 'prepare'), idOf(grid, 'pretrain'), idOf(grid, 'evaluate')]
    const shard = await put(prepare, 'pack/shard-00000.u8')
    const manifest = await writeManifest(objects, 'pack/manifest.json', {
      runId: prepare,
      semantics: 1,
      files: [shard],
      meta: {},
    })
    await put(prepare, 'pack/shard-00001.u8')
    const table = await put(prepare, 'pack/table')
    await finish(lab.store, prepare, 'succeeded', { artifacts: [table, manifest] })
    // Pretraining runs: not even what nothing names may go.
    const ref = await leaseRun(lab.store, pretrain)
    await put(pretrain, 'checkpoints/00000001/state-0.safetensors')
    await put(evaluate, 'features')
    const unknown = 'f'.repeat(64)
    await put(unknown, 'pack/table')
    await age()

    const dry = await collect({ dryRun: true, unwanted: true })
    expect(dry).toMatchObject({
      objects: 7,
      deleted: 0,
      garbage: { 'unknown-run': { objects: 1 }, unreferenced: { objects: 1 } },
    })
    expect(await keys()).toHaveLength(7)
    expect(await collect({ dryRun: false, unwanted: true })).toMatchObject({ deleted: 2, complete: true })
    const left = await keys()
    expect(left).not.toContain(`runs/${prepare}/pack/shard-00001.u8`)
    expect(left).not.toContain(`runs/${unknown}/pack/table`)
    expect(left).toHaveLength(5)

    // The run ends; its checkpoint's row still names the state.
    await lab.store.attempts.recordCheckpoint(ref, {
      step: 1,
      role: 'periodic',
      name: 'checkpoints/00000001/state-0.safetensors',
      sha256: '0'.repeat(64),
      sizeBytes: 40,
    })
    await lab.store.attempts.end(ref, { ending: 'spec-error', message: 'no', artifacts: [], results: [], summary: {} })
    expect(await collect({ dryRun: false })).toMatchObject({ deleted: 1, garbage: { unreferenced: { objects: 1 } } })
    expect(await keys()).not.toContain(`runs/${evaluate}/features`)
    expect(await keys()).toContain(`runs/${pretrain}/checkpoints/00000001/state-0.safetensors`)

    // Nobody wants it any more: it goes where that was asked for, and only its own.
    await lab.store.control.cancel({ gridId: (await lab.store.reader.resolveGrid(grid.request.name)) ?? '' })
    expect(await collect({ dryRun: false })).toMatchObject({ deleted: 0 })
    expect(await collect({ dryRun: false, unwanted: true })).toMatchObject({
      deleted: 1,
      garbage: { 'unwanted-run': { objects: 1 } },
    })
    expect(await keys()).toHaveLength(3)
  })
})
