import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NonFiniteStateError, StoreAccessError } from './errors.ts'
import { openFolderStore } from './folder/folder-store.ts'
import { artifactKey, readManifest } from './manifest.ts'
import type { ObjectStore } from './object-store.ts'
import { decodeSafetensors } from './safetensors.ts'
import { inlineStateWriter, type StateFile, type StateWriter, writeState } from './state-writer.ts'
import type { StoreRetry } from './store-retry.ts'
import { threadedStateWriter } from './threaded-state-writer.ts'

const RUN = 'ab'.repeat(32)

let root: string
let writer: StateWriter
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cxrlab-state-'))
})
afterEach(async () => {
  await writer.close()
  await rm(root, { recursive: true })
})

const threaded = (retry?: StoreRetry) => threadedStateWriter(pathToFileURL(join(root, 'store')).href, {}, retry)
const state = (over: Partial<StateFile> = {}): StateFile => ({
  runId: RUN,
  semantics: 1,
  folder: 'a',
  tensors: { weight: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, bias: { shape: [1], data: Float32Array.of(5) } },
  metadata: { step: '7' },
  manifest: { file: 'final.manifest.json', meta: { loop: '{}' } },
  verify: true,
  ...over,
})

describe('the thread that writes states', () => {
  it('writes the very file that the calling thread would write, and takes the arrays with it', async () => {
    const inline = await openFolderStore(join(root, 'inline'))
    const expected = await inlineStateWriter(inline).write(state())
    writer = threaded()
    const given = state()
    expect(await writer.write(given)).toEqual(expected)
    expect(given.tensors.weight!.data.length).toBe(0)
    const store = await openFolderStore(join(root, 'store'))
    const bytes = await store.get(artifactKey(RUN, expected.name))
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(expected.sha256)
    expect(decodeSafetensors(bytes, 'it').tensors).toEqual(state().tensors)
    const manifest = await readManifest(store, 'a/final.manifest.json', { runId: RUN, semantics: 1 })
    expect(manifest).toMatchObject({ files: [expected], meta: { loop: '{}' } })
  })

  it('takes tensors that are views of one buffer', async () => {
    const both = Float32Array.of(1, 2, 3)
    const tensors = { one: { shape: [1], data: both.subarray(0, 1) }, two: { shape: [2], data: both.subarray(1) } }
    writer = threaded()
    await writer.write(state({ tensors }))
    await writer.write(state({ folder: 'b' }))
  })

  it('refuses a second state while one is on its way', async () => {
    writer = threaded()
    const first = writer.write(state())
    expect(() => writer.write(state())).toThrow('one at a time')
    await first
  })

  it('waits for a store that is away, says so, and writes once it is back', async () => {
    await writeFile(join(root, 'store'), 'in the way')
    const told: string[] = []
    writer = threaded({
      firstMs: 1,
      maxMs: 5,
      onRetry: (error, tries) => {
        expect(error).toBeInstanceOf(StoreAccessError)
        told.push(`${tries}: ${error.message}`)
        if (tries === 3) void rm(join(root, 'store')).then(() => mkdir(join(root, 'store')))
      },
    })
    const { name } = await writer.write(state())
    expect(name).toMatch(/^a\/state-[0-9a-f]{16}\.safetensors$/)
    expect(told.length).toBeGreaterThanOrEqual(3)
    expect(told[0]).toMatch(/^1: the object store's folder .* cannot be written \(E/)
  })

  it('names the tensor of a state that is not finite', async () => {
    writer = threaded()
    const tensors = { ...state().tensors, bias: { shape: [1], data: Float32Array.of(Number.POSITIVE_INFINITY) } }
    const error = await writer.write(state({ tensors })).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(NonFiniteStateError)
    expect(error).toMatchObject({ tensor: 'bias' })
    await writer.write(state())
  })

  it('fails what it was writing where it is closed', async () => {
    await writeFile(join(root, 'store'), 'in the way')
    const told = new Promise<void>((resolve) => {
      writer = threaded({ firstMs: 60_000, onRetry: () => resolve() })
    })
    const written = writer.write(state()).catch((reason: unknown) => String(reason))
    await told
    await writer.close()
    expect(await written).toContain('ended')
  })
})

describe('verification', () => {
  const damaging = (store: ObjectStore): ObjectStore =>
    new Proxy(store, {
      get(target, property) {
        if (property === 'put')
          return async (key: string, body: AsyncIterable<Uint8Array>) => {
            const stored = await target.put(key, body)
            await target.put(key, Buffer.from('other bytes'))
            return stored
          }
        const value = Reflect.get(target, property)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })

  it('refuses bytes that the store changed', async () => {
    writer = threaded()
    const store = damaging(await openFolderStore(join(root, 'store')))
    await expect(writeState(store, state())).rejects.toThrow('reads back as other bytes')
    await expect(writeState(store, state({ verify: false }))).resolves.toMatchObject({ sizeBytes: expect.any(Number) })
  })
})
