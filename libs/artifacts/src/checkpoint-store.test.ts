import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ArtifactMismatchError, type CheckpointStore, NonFiniteError, type StoredCheckpoint } from '#libs/training'
import { type CheckpointStoreOptions, createCheckpointStore, deleteRunArtifacts } from './checkpoint-store.ts'
import { openFolderStore } from './folder/folder-store.ts'
import { writeManifest } from './manifest.ts'
import type { ObjectStore } from './object-store.ts'
import { encodeSafetensors } from './safetensors-encode.ts'

const RUN = 'ab'.repeat(32)
const OTHER = 'cd'.repeat(32)

let root: string
let store: ObjectStore
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cxrlab-checkpoints-'))
  store = await openFolderStore(root)
})
afterEach(() => rm(root, { recursive: true }))

const at = (step: number, value = step): StoredCheckpoint => ({
  step,
  meta: { epoch: String(step / 10) },
  tensors: { weight: { shape: [2], data: Float32Array.of(value, -value) }, bias: { shape: [], data: Float32Array.of(0.1) } },
})

/** Saves and waits for the collection behind it, so that each test sees what stays. */
function checkpoints(of: ObjectStore = store, options: CheckpointStoreOptions = {}): CheckpointStore {
  const kept = createCheckpointStore(of, RUN, 1, options)
  return {
    latest: () => kept.latest(),
    load: (role) => kept.load(role),
    save: async (checkpoint, role) => {
      const saved = await kept.save(checkpoint, role)
      await kept.collected()
      return saved
    },
  }
}

async function keys(): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(`runs/${RUN}/checkpoints/`)) found.push(key.slice(`runs/${RUN}/checkpoints/`.length))
  return found
}

/** The store of a process that dies just before the put whose key matches. */
function dyingBefore(pattern: RegExp): ObjectStore {
  return new Proxy(store, {
    get(target, property) {
      if (property === 'put')
        return (key: string, body: Uint8Array) =>
          pattern.test(key) ? Promise.reject(new Error('killed')) : target.put(key, body)
      const value = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('the checkpoint store', () => {
  it('gives back the newest periodic checkpoint bit for bit', async () => {
    expect(await checkpoints().latest()).toBeUndefined()
    await checkpoints().save(at(10, Math.fround(0.1)), 'periodic')
    const ref = await checkpoints().save(at(20, -0), 'periodic')
    expect(await checkpoints().latest()).toEqual(at(20, -0))
    expect((await store.head(`runs/${RUN}/${ref.name}`))?.sizeBytes).toBe(ref.sizeBytes)
  })

  it('orders steps as numbers', async () => {
    for (const step of [9, 100_000_000, 10]) await checkpoints().save(at(step), 'periodic')
    expect((await checkpoints().latest())?.step).toBe(100_000_000)
  })

  it('keeps the last two periodic ones, the newest best and the final one, and nothing else', async () => {
    for (const step of [10, 20, 30, 40]) {
      await checkpoints().save(at(step), 'periodic')
      if (step <= 20) await checkpoints().save(at(step, 1000 + step), 'best')
    }
    await checkpoints().save(at(40), 'final')
    const kept = (await keys()).map((key) => key.replace(/state-[0-9a-f]{16}/, 'state'))
    expect(kept).toEqual([
      '00000020/best.manifest.json',
      '00000020/state.safetensors',
      '00000030/periodic.manifest.json',
      '00000030/state.safetensors',
      '00000040/final.manifest.json',
      '00000040/periodic.manifest.json',
      '00000040/state.safetensors',
    ])
    expect((await checkpoints().load('best')).tensors.weight?.data[0]).toBe(1020)
    expect((await checkpoints().load('final')).step).toBe(40)
  })

  it('never sees a checkpoint whose writer was killed between data and manifest, and goes on from the one before', async () => {
    await checkpoints().save(at(10), 'periodic')
    await expect(checkpoints(dyingBefore(/00000020.*manifest/)).save(at(20), 'periodic')).rejects.toThrow('killed')
    expect(await keys()).toHaveLength(3)
    expect((await checkpoints().latest())?.step).toBe(10)
    await checkpoints().save(at(20), 'periodic')
    expect((await checkpoints().latest())?.step).toBe(20)
  })

  it('collects the data that a killed writer left once a later checkpoint stands', async () => {
    await expect(checkpoints(dyingBefore(/manifest/)).save(at(10), 'periodic')).rejects.toThrow('killed')
    await checkpoints().save(at(20), 'periodic')
    expect((await keys()).every((key) => key.startsWith('00000020/'))).toBe(true)
  })

  it('leaves data alone that another writer may be about to commit: those of the newest and of later steps', async () => {
    await expect(checkpoints(dyingBefore(/manifest/)).save(at(10, 7), 'periodic')).rejects.toThrow('killed')
    await expect(checkpoints(dyingBefore(/manifest/)).save(at(20), 'periodic')).rejects.toThrow('killed')
    await checkpoints().save(at(10), 'periodic')
    expect((await keys()).filter((key) => key.includes('state'))).toHaveLength(3)
  })

  it('is not disturbed by a writer that lost its lease and saves other bytes for the same step', async () => {
    await checkpoints().save(at(10, 1), 'periodic')
    await expect(checkpoints(dyingBefore(/manifest/)).save(at(10, 2), 'periodic')).rejects.toThrow('killed')
    expect((await checkpoints().latest())?.tensors.weight?.data[0]).toBe(1)
  })

  it('reports a failed collection and keeps the checkpoint', async () => {
    const errors: unknown[] = []
    const failing = new Proxy(store, {
      get(target, property) {
        if (property === 'delete') return () => Promise.reject(new Error('no delete'))
        const value = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const keepOne = checkpoints(failing, { keepLast: 1, onCollectError: (error) => errors.push(error) })
    await keepOne.save(at(10), 'periodic')
    await keepOne.save(at(20), 'periodic')
    expect(errors).toHaveLength(1)
    expect((await keepOne.latest())?.step).toBe(20)
  })

  it('keeps no state that is not finite, and names the tensor', async () => {
    await checkpoints().save(at(10), 'periodic')
    const error = await checkpoints()
      .save(at(20, Number.NaN), 'periodic')
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(NonFiniteError)
    expect(error).toMatchObject({ tensor: 'state weight', step: 20 })
    expect((await checkpoints().latest())?.step).toBe(10)
    expect(await keys()).toHaveLength(2)
  })

  it('throws where a role was never saved', async () => {
    await expect(checkpoints().load('final')).rejects.toThrow(`run ${RUN} has no final checkpoint`)
  })

  it('removes all of a run and nothing of another', async () => {
    await checkpoints().save(at(10), 'periodic')
    await createCheckpointStore(store, OTHER, 1).save(at(10), 'final')
    expect(await deleteRunArtifacts(store, RUN)).toBe(2)
    expect(await keys()).toEqual([])
    expect((await createCheckpointStore(store, OTHER, 1).load('final')).step).toBe(10)
  })
})

describe('the checkpoint store refuses by name', () => {
  const find = async (pattern: RegExp) => join(root, `runs/${RUN}/checkpoints`, (await keys()).find((key) => pattern.test(key))!)
  beforeEach(async () => {
    await checkpoints().save(at(10), 'periodic')
  })

  it('a state with one flipped bit', async () => {
    const path = await find(/state/)
    const bytes = await readFile(path)
    bytes[bytes.byteLength - 1]! ^= 1
    await writeFile(path, bytes)
    await expect(checkpoints().latest()).rejects.toThrow(/state-[0-9a-f]{16}\.safetensors" has SHA-256/)
  })

  it('a truncated state', async () => {
    const path = await find(/state/)
    await writeFile(path, (await readFile(path)).subarray(0, 100))
    await expect(checkpoints().latest()).rejects.toThrow('has 100 bytes, its manifest says')
  })

  it('a state whose tensors were swapped', async () => {
    const { weight, bias } = at(10).tensors
    const swapped = { weight: { ...weight!, data: weight!.data.slice().reverse() }, bias: bias! }
    const path = await find(/state/)
    const bytes = encodeSafetensors(swapped, { step: '10' })
    expect(bytes.byteLength).toBe((await readFile(path)).byteLength)
    await writeFile(path, bytes)
    await expect(checkpoints().latest()).rejects.toThrow('has SHA-256')
  })

  it('a tensor that is not float32, even where file and manifest agree', async () => {
    const tensors = { ...at(30).tensors, bias: { shape: [], data: Int32Array.of(1) } } as unknown as StoredCheckpoint['tensors']
    await checkpoints().save({ ...at(30), tensors }, 'periodic')
    await expect(checkpoints().latest()).rejects.toThrow('tensor "bias" is not float32')
  })

  it('a state of another step under its manifest', async () => {
    await checkpoints().save(at(40), 'periodic')
    const manifest = JSON.parse(await readFile(await find(/00000010.*manifest/), 'utf8'))
    const { sha256: _, ...content } = manifest
    await writeManifest(store, 'checkpoints/00000040/periodic.manifest.json', content)
    await expect(checkpoints().latest()).rejects.toThrow('holds step 10')
  })

  it('a missing state', async () => {
    await rm(await find(/state/))
    await expect(checkpoints().latest()).rejects.toThrow('is missing though a manifest lists it')
  })

  it('other semantics', async () => {
    await expect(createCheckpointStore(store, RUN, 2).latest()).rejects.toThrow('has semantics 1, expected 2')
  })

  it("another run's manifest and state under this run's key", async () => {
    for await (const { key } of store.list(`runs/${RUN}/`)) await store.put(key.replace(RUN, OTHER), await store.get(key))
    const error = await createCheckpointStore(store, OTHER, 1)
      .latest()
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ArtifactMismatchError)
    expect(String(error)).toContain(`belongs to run ${RUN}`)
  })

  it('an edited manifest', async () => {
    const path = await find(/manifest/)
    await writeFile(path, (await readFile(path, 'utf8')).replace('"epoch": "1"', '"epoch": "2"'))
    await expect(checkpoints().latest()).rejects.toThrow('does not have the hash that it states')
    await writeFile(path, '{"runId":')
    await expect(checkpoints().latest()).rejects.toThrow('is damaged')
  })
})
