import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { artifactKey, type ObjectStore, openObjectStore, putArtifact } from '#libs/artifacts'
import type { ArtifactRef } from '#libs/training'
import { DIGEST_BYTES, ImageDigests, imageDigest } from './image-digest.ts'
import { PixelReader } from './pixel-reader.ts'
import { SHARD_IMAGES, shardName } from './shard-layout.ts'

const RUN = '1'.repeat(64)
const SIDE = 4
const PIXELS = SIDE * SIDE
const COUNT = SHARD_IMAGES * 2 + 10
const pixelsOf = (slot: number) => new Uint8Array(PIXELS).fill(slot % 251)

let home: string
let store: ObjectStore
let shards: ArtifactRef[]
const slots = Int32Array.from({ length: COUNT }, (_, i) => i)
const digests = new ImageDigests(new Uint8Array(COUNT * DIGEST_BYTES))

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'pixels-'))
  store = await openObjectStore(`file://${home}`)
  shards = []
  for (let shard = 0; shard * SHARD_IMAGES < COUNT; shard++) {
    const some = Array.from(slots.subarray(shard * SHARD_IMAGES, (shard + 1) * SHARD_IMAGES), pixelsOf)
    shards.push(await putArtifact(store, RUN, shardName(shard), Buffer.concat(some)))
  }
  for (const slot of slots) digests.bytes.set(imageDigest(pixelsOf(slot)), slot * DIGEST_BYTES)
})
afterAll(() => rm(home, { recursive: true }))

/** Counts what is read. */
function reader(budgetBytes: number) {
  const reads = { whole: 0, range: 0 }
  const counting: ObjectStore = Object.assign(Object.create(store) as ObjectStore, {
    get: (key: string) => {
      reads.whole++
      return store.get(key)
    },
    getRange: (key: string, start: number, length: number) => {
      reads.range++
      return store.getRange(key, start, length)
    },
  })
  return { reads, pixels: new PixelReader({ store: counting, runId: RUN, sidePx: SIDE, shards, slots, digests, budgetBytes }) }
}

it('reads each shard once where all fit, however many images are asked for at once', async () => {
  const { reads, pixels } = reader(COUNT * PIXELS)
  const rows = [0, 1, 1023, 1024, 2047, 2048, COUNT - 1]
  const images = await Promise.all(rows.map((row) => pixels.image(row)))
  expect(images.map((image) => image[0])).toEqual(rows.map((row) => row % 251))
  expect(images.every((image) => image.length === PIXELS)).toBe(true)
  expect(reads).toEqual({ whole: 3, range: 0 })
})

it('never holds more than its budget: the images of other shards come by range', async () => {
  const { reads, pixels } = reader(SHARD_IMAGES * PIXELS)
  for (const row of [5, 1030, 1031, 6, 1030]) expect((await pixels.image(row))[0]).toBe(row % 251)
  expect(reads).toEqual({ whole: 1, range: 3 })
})

it('holds nothing with a budget of nothing', async () => {
  const { reads, pixels } = reader(0)
  expect((await pixels.image(COUNT - 1))[PIXELS - 1]).toBe((COUNT - 1) % 251)
  expect(reads).toEqual({ whole: 0, range: 1 })
})

it('refuses damaged pixels by range and by shard, and a missing shard', async () => {
  const key = artifactKey(RUN, shardName(1))
  const good = await store.get(key)
  const bad = Buffer.from(good)
  bad[PIXELS * 3] = 252
  await store.put(key, bad)
  await expect(reader(0).pixels.image(1024 + 3)).rejects.toThrow('do not have the SHA-256 that the index states')
  expect((await reader(0).pixels.image(1024 + 4))[0]).toBe((1024 + 4) % 251)
  await expect(reader(COUNT * PIXELS).pixels.image(1024 + 4)).rejects.toThrow('has SHA-256')
  await store.delete(key)
  await expect(reader(0).pixels.image(1024 + 3)).rejects.toThrow('is missing or too short')
  await store.put(key, good)
})

it('tries a shard again after a failed read', async () => {
  const { pixels } = reader(COUNT * PIXELS)
  const key = artifactKey(RUN, shardName(2))
  const good = await store.get(key)
  await store.delete(key)
  await expect(pixels.image(COUNT - 1)).rejects.toThrow('is missing')
  await store.put(key, good)
  expect((await pixels.image(COUNT - 1))[0]).toBe((COUNT - 1) % 251)
})
