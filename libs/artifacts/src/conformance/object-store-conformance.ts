/** What every object store must do. One suite, run on each adapter. */
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InvalidKeyError, ObjectExistsError, ObjectNotFoundError, ObjectRangeError } from '../errors.ts'
import type { ObjectStore } from '../object-store.ts'

export interface StoreUnderTest {
  readonly store: ObjectStore
  /** Removes all that the suite made. */
  close(): Promise<void>
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let start = 0; start < bytes.byteLength; start += size) yield bytes.subarray(start, start + size)
}

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys.sort()
}

/** Registers the suite under `name`. `makeStore` gives an empty store. */
export function objectStoreConformance(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the object store's contract`, () => {
    let held: StoreUnderTest
    let store: ObjectStore
    beforeAll(async () => {
      held = await makeStore()
      store = held.store
    })
    afterAll(() => held?.close())

    roundTrips(() => store)
    conditionalCreates(() => store)
    listings(() => store)
    refusals(() => store)
  })
}

function roundTrips(store: () => ObjectStore): void {
  it('gives back the bytes it was given, with their hash and size', async () => {
    const bytes = randomBytes(100_000)
    expect(await store().put('round/whole.bin', bytes)).toEqual({ sha256: sha256(bytes), sizeBytes: 100_000 })
    expect(sha256(await store().get('round/whole.bin'))).toBe(sha256(bytes))
    expect(await store().head('round/whole.bin')).toEqual({
      key: 'round/whole.bin',
      sizeBytes: 100_000,
      modifiedAt: expect.any(Date),
    })
  })

  it('keeps an empty object', async () => {
    await store().put('round/empty', new Uint8Array())
    expect((await store().get('round/empty')).byteLength).toBe(0)
  })

  it('takes a stream of unknown length that is larger than one part', async () => {
    const bytes = randomBytes(37 * 2 ** 20 + 3)
    const stored = await store().put('round/stream.bin', inChunks(bytes, 700_001))
    expect(stored).toEqual({ sha256: sha256(bytes), sizeBytes: bytes.byteLength })
    const hash = createHash('sha256')
    for await (const chunk of await store().stream('round/stream.bin')) hash.update(chunk)
    expect(hash.digest('hex')).toBe(stored.sha256)
  })

  it('takes a buffer that is larger than one part', async () => {
    const bytes = randomBytes(17 * 2 ** 20 + 1)
    await store().put('round/large.bin', bytes)
    expect(sha256(await store().get('round/large.bin'))).toBe(sha256(bytes))
  })

  it('replaces an object by an unconditional put', async () => {
    await store().put('round/again', Buffer.from('one'))
    await store().put('round/again', Buffer.from('two!'))
    expect((await store().get('round/again')).toString()).toBe('two!')
  })

  it('reads exactly the range asked for', async () => {
    const bytes = randomBytes(5000)
    await store().put('round/range', bytes)
    expect((await store().getRange('round/range', 100, 256)).equals(bytes.subarray(100, 356))).toBe(true)
    expect((await store().getRange('round/range', 4999, 1)).equals(bytes.subarray(4999))).toBe(true)
  })

  it('leaves nothing of a put whose stream fails', async () => {
    async function* failing() {
      yield randomBytes(10)
      throw new Error('the source broke')
    }
    await expect(store().put('round/torn', failing())).rejects.toThrow('the source broke')
    expect(await store().head('round/torn')).toBeUndefined()
    expect(await keysOf(store(), 'round/torn')).toEqual([])
  })

  it('deletes, and takes a second delete as done', async () => {
    await store().put('round/gone', Buffer.from('x'))
    await store().delete('round/gone')
    await store().delete('round/gone')
    expect(await store().head('round/gone')).toBeUndefined()
  })
}

function conditionalCreates(store: () => ObjectStore): void {
  it('creates with ifAbsent only where the key is free, whole or streamed', async () => {
    await store().put('once/a', Buffer.from('first'), { ifAbsent: true })
    await expect(store().put('once/a', Buffer.from('second'), { ifAbsent: true })).rejects.toBeInstanceOf(ObjectExistsError)
    const large = randomBytes(18 * 2 ** 20)
    await expect(store().put('once/a', inChunks(large, 2 ** 20), { ifAbsent: true })).rejects.toBeInstanceOf(ObjectExistsError)
    expect((await store().get('once/a')).toString()).toBe('first')
  })

  it('lets exactly one of twelve racing creators win', async () => {
    const racers = Array.from({ length: 12 }, (_, i) => store().put('once/race', Buffer.from(`racer ${i}`), { ifAbsent: true }))
    const outcomes = await Promise.allSettled(racers)
    const winners = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [i] : []))
    const losses = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    expect(winners).toHaveLength(1)
    expect(losses.every((reason) => reason instanceof ObjectExistsError)).toBe(true)
    expect((await store().get('once/race')).toString()).toBe(`racer ${winners[0]}`)
  })
}

function listings(store: () => ObjectStore): void {
  it('lists each key under a string prefix once', async () => {
    for (const key of ['list/b', 'list/a/2', 'list/a/10', 'list/a-x', 'list/ab/c']) await store().put(key, Buffer.from(key))
    expect(await keysOf(store(), 'list/')).toEqual(['list/a-x', 'list/a/10', 'list/a/2', 'list/ab/c', 'list/b'])
    expect(await keysOf(store(), 'list/a')).toEqual(['list/a-x', 'list/a/10', 'list/a/2', 'list/ab/c'])
    expect(await keysOf(store(), 'list/a/')).toEqual(['list/a/10', 'list/a/2'])
    expect(await keysOf(store(), 'list/none/')).toEqual([])
  })

  it('tells when each object was stored, in listings as by itself', async () => {
    await store().put('aged/a', Buffer.from('x'))
    const ages: Date[] = []
    for await (const { modifiedAt } of store().list('aged/')) ages.push(modifiedAt)
    const head = await store().head('aged/a')
    // Servers keep whole seconds in one of the two.
    expect(ages.map((age) => Math.floor(age.getTime() / 1000))).toEqual([Math.floor((head?.modifiedAt.getTime() ?? 0) / 1000)])
    expect(await store().removeUnfinished(new Date(0), { dryRun: false })).toEqual({ count: 0, sizeBytes: 0 })
    expect(await store().head('aged/a')).toEqual(head)
  })

  it('pages through more keys than one answer holds', async () => {
    const keys = Array.from({ length: 1_050 }, (_, i) => `many/${String(i).padStart(4, '0')}`)
    for (let start = 0; start < keys.length; start += 50) {
      await Promise.all(keys.slice(start, start + 50).map((key) => store().put(key, Buffer.from('x'))))
    }
    expect(await keysOf(store(), 'many/')).toEqual(keys)
  })
}

function refusals(store: () => ObjectStore): void {
  it('says that an object is not there', async () => {
    await expect(store().get('none/at-all')).rejects.toBeInstanceOf(ObjectNotFoundError)
    await expect(store().getRange('none/at-all', 0, 1)).rejects.toBeInstanceOf(ObjectNotFoundError)
    await expect(store().stream('none/at-all')).rejects.toBeInstanceOf(ObjectNotFoundError)
    expect(await store().head('none/at-all')).toBeUndefined()
  })

  it('refuses a range that reaches past the end', async () => {
    await store().put('short', Buffer.from('four'))
    await expect(store().getRange('short', 2, 3)).rejects.toBeInstanceOf(ObjectRangeError)
    await expect(store().getRange('short', 4, 1)).rejects.toBeInstanceOf(ObjectRangeError)
  })

  it.each(['', '/etc/passwd', '../up', 'a/../b', 'a//b', 'a/', '.hidden', 'a/.put-1', 'with space', 'back\\slash', 'a/\u0000'])(
    'refuses the key %j in every method',
    async (key) => {
      await expect(store().put(key, Buffer.from('x'))).rejects.toBeInstanceOf(InvalidKeyError)
      await expect(store().get(key)).rejects.toBeInstanceOf(InvalidKeyError)
      await expect(store().head(key)).rejects.toBeInstanceOf(InvalidKeyError)
      await expect(store().delete(key)).rejects.toBeInstanceOf(InvalidKeyError)
    },
  )
}
