import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openFolderStore } from './folder/folder-store.ts'
import { collectGarbage, type GarbageOptions, type KnownRun } from './garbage.ts'
import { putArtifact, writeManifest } from './manifest.ts'
import type { ObjectStore } from './object-store.ts'

const RUN = 'a'.repeat(64)
const OTHER = 'b'.repeat(64)
const LONG_AGO = new Date('2020-01-01T00:00:00Z')
const BEFORE = new Date('2021-01-01T00:00:00Z')

async function setUp() {
  const root = await mkdtemp(join(tmpdir(), 'cxrlab-garbage-'))
  onTestFinished(async () => await rm(root, { recursive: true }))
  const store = await openFolderStore(root)
  const put = async (key: string) => void (await store.put(key, Buffer.from(key)))
  /** Makes everything that is stored now old. */
  const age = async () => {
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), LONG_AGO, LONG_AGO)
    }
  }
  const keys = async () => {
    const found: string[] = []
    for await (const { key } of store.list('')) found.push(key.replace(RUN, 'RUN').replace(OTHER, 'OTHER'))
    return found
  }
  return { root, store, put, age, keys }
}

const runOf = (changes: Partial<KnownRun> = {}): KnownRun => ({
  runId: RUN,
  live: false,
  wanted: true,
  state: 'succeeded',
  names: [],
  ...changes,
})
const knowing = (...runs: KnownRun[]) => {
  return async (ids: readonly string[]) => runs.filter(({ runId }) => ids.includes(runId))
}
const collect = (store: ObjectStore, references: GarbageOptions['references'], more: Partial<GarbageOptions> = {}) =>
  collectGarbage(store, { references, before: BEFORE, dryRun: false, ...more })

/** A checkpoint as the checkpoint store leaves it, and a state that no manifest names. */
async function withCheckpoint(store: ObjectStore) {
  const state = await putArtifact(store, RUN, 'checkpoints/00000008/state-1.safetensors', Buffer.from('weights'))
  await writeManifest(store, 'checkpoints/00000008/final.manifest.json', { runId: RUN, semantics: 1, files: [state], meta: {} })
  await putArtifact(store, RUN, 'checkpoints/00000004/state-0.safetensors', Buffer.from('torn'))
}

const KEPT = ['runs/RUN/checkpoints/00000008/final.manifest.json', 'runs/RUN/checkpoints/00000008/state-1.safetensors']
const TORN = 'runs/RUN/checkpoints/00000004/state-0.safetensors'

describe('collectGarbage', () => {
  it('takes what neither the database nor a manifest names, and says how much that is', async () => {
    const { store, put, age, keys } = await setUp()
    await withCheckpoint(store)
    await put(`runs/${RUN}/predictions.safetensors`)
    await put(`runs/${OTHER}/pack/index`)
    await put('notes/readme')
    await age()
    const references = knowing(runOf({ names: ['predictions.safetensors'] }))
    const dry = await collect(store, references, { dryRun: true })
    expect(dry).toMatchObject({
      objects: 6,
      unrecognised: 1,
      deleted: 0,
      complete: true,
      garbage: { 'unknown-run': { objects: 1 }, unreferenced: { objects: 1, sizeBytes: 4 }, 'unwanted-run': { objects: 0 } },
    })
    expect(await keys()).toHaveLength(6)
    expect(await collect(store, references)).toEqual({ ...dry, deleted: 2 })
    expect(await keys()).toEqual(['notes/readme', ...KEPT, 'runs/RUN/predictions.safetensors'])
    expect(await collect(store, references)).toMatchObject({ objects: 4, deleted: 0 })
  })

  it('leaves a live run alone, whatever lies there', async () => {
    const { store, age, keys } = await setUp()
    await withCheckpoint(store)
    await age()
    expect(
      await collect(store, knowing(runOf({ live: true, wanted: false, state: 'paused' })), { unwanted: true }),
    ).toMatchObject({
      deleted: 0,
    })
    expect(await keys()).toContain(TORN)
  })

  it('leaves a run alone that was written to lately: its writer may go on', async () => {
    const { store, put, age, keys } = await setUp()
    await withCheckpoint(store)
    await age()
    await put(`runs/${RUN}/young`)
    await put(`runs/${OTHER}/young`)
    expect(await collect(store, knowing(runOf()))).toMatchObject({ deleted: 0 })
    expect(await keys()).toContain(TORN)
  })

  it('keeps all of a run whose manifest cannot be read, and names the run', async () => {
    const { root, store, age, keys } = await setUp()
    await withCheckpoint(store)
    await writeFile(join(root, 'runs', RUN, 'checkpoints/00000008/final.manifest.json'), '{"files":[]')
    await age()
    expect(await collect(store, knowing(runOf()))).toMatchObject({ deleted: 0, doubtfulRuns: [RUN] })
    expect(await keys()).toHaveLength(3)
  })

  it.each([
    ['failed', false, true],
    ['failed', true, false],
    ['succeeded', false, false],
  ])('takes a whole run that is %s and wanted: %s only where asked to: %s', async (state, wanted, goes) => {
    const { store, age, keys } = await setUp()
    await withCheckpoint(store)
    await age()
    const references = knowing(runOf({ state, wanted, names: ['checkpoints/00000008/state-1.safetensors'] }))
    await collect(store, references)
    expect(await keys()).toEqual(KEPT)
    await collect(store, references, { unwanted: true })
    expect(await keys()).toEqual(goes ? [] : KEPT)
  })

  it('spares an object that is stored anew after it was found to be old', async () => {
    const { store, age, keys } = await setUp()
    await withCheckpoint(store)
    await age()
    const key = `runs/${RUN}/checkpoints/00000004/state-0.safetensors`
    // The writer is quicker than the question for the object's age.
    const racing = Object.assign(Object.create(store) as ObjectStore, {
      head: async (asked: string) => {
        if (asked === key) await store.put(key, Buffer.from('whole'))
        return await store.head(asked)
      },
      list: store.list.bind(store),
      get: store.get.bind(store),
      delete: store.delete.bind(store),
      removeUnfinished: store.removeUnfinished.bind(store),
    })
    expect(await collect(racing, knowing(runOf()))).toMatchObject({ deleted: 0 })
    expect(await keys()).toContain(TORN)
  })

  it('spares a run that is taken up again, or becomes known, while it looks', async () => {
    for (const first of [[runOf()], []]) {
      const { store, age, keys } = await setUp()
      await withCheckpoint(store)
      await age()
      let asked = 0
      const references: GarbageOptions['references'] = async () =>
        asked++ === 0 ? first : [runOf({ live: true, state: 'queued' })]
      expect(await collect(store, references)).toMatchObject({ deleted: 0 })
      expect(await keys()).toHaveLength(3)
    }
  })

  it('deletes manifests before what they list, and stops at its limit', async () => {
    const { store, age, keys } = await setUp()
    await withCheckpoint(store)
    await age()
    const first = await collect(store, knowing(), { limit: 1 })
    expect(first).toMatchObject({ deleted: 1, complete: false })
    expect(await keys()).toEqual([TORN, KEPT[1]])
    expect(await collect(store, knowing(), { limit: 3 })).toMatchObject({ deleted: 2, complete: true })
    expect(await keys()).toEqual([])
  })

  it('removes writes that were never finished', async () => {
    const { root, store, put, age } = await setUp()
    await put(`runs/${RUN}/a`)
    await writeFile(join(root, 'runs', RUN, '.put-killed'), 'half')
    await age()
    expect(await collect(store, knowing(runOf({ live: true })), { dryRun: true })).toMatchObject({
      unfinished: { count: 1, sizeBytes: 4 },
    })
    await collect(store, knowing(runOf({ live: true })))
    expect(await readdir(join(root, 'runs', RUN))).toEqual(['a'])
  })

  it('asks for many runs in parts', async () => {
    const { store, put, age } = await setUp()
    const ids = Array.from({ length: 501 }, (_, i) => i.toString(16).padStart(64, '0'))
    for (const id of ids) await put(`runs/${id}/a`)
    await age()
    const asked: number[] = []
    await collect(store, async (runIds) => {
      asked.push(runIds.length)
      return runIds.map((runId) => runOf({ runId, live: true }))
    })
    expect(asked).toEqual([500, 1])
  })
})
