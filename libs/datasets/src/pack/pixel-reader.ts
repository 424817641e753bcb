/** Pixels of a pack, one image at a time, from whole shards in memory or by range. */
import { artifactKey, getArtifact, ObjectNotFoundError, ObjectRangeError, type ObjectStore } from '#libs/artifacts'
import { ArtifactMismatchError, type ArtifactRef } from '#libs/training'
import { type ImageDigests, imageDigest } from './image-digest.ts'
import { SHARD_IMAGES } from './shard-layout.ts'

export interface PixelSource {
  readonly store: ObjectStore
  readonly runId: string
  readonly sidePx: number
  /** Shards in order, as the manifest lists them. */
  readonly shards: readonly ArtifactRef[]
  /** [count] place of each image's pixels. */
  readonly slots: Int32Array
  /** Of each image, see image-digest.ts. */
  readonly digests: ImageDigests
  readonly budgetBytes: number
}

/**
 * Shards are held whole while the budget lasts, first come, and stay: epochs are uniform permutations, so whatever is held gives
 * the same share of hits, and replacing a shard would read 1,024 images to serve one. The images of all other shards are read by
 * range, each checked against its own digest, so a pack of any size serves a batch with a batch's worth of reads and memory.
 */
export class PixelReader {
  readonly #source: PixelSource
  readonly #held = new Map<number, Promise<Buffer>>()
  #freeBytes: number

  constructor(source: PixelSource) {
    this.#source = source
    this.#freeBytes = source.budgetBytes
  }

  /** [sidePx * sidePx] grey levels of the image in row `row` of the index. @throws ArtifactMismatchError where they are damaged. */
  async image(row: number): Promise<Uint8Array> {
    const slot = this.#source.slots[row]!
    const pixels = this.#source.sidePx ** 2
    const shard = Math.floor(slot / SHARD_IMAGES)
    const start = (slot % SHARD_IMAGES) * pixels
    const whole = this.#held.get(shard) ?? this.#hold(shard)
    if (whole) return (await whole).subarray(start, start + pixels)
    return this.#range(row, this.#shard(shard), start, pixels)
  }

  clear(): void {
    this.#held.clear()
    this.#freeBytes = this.#source.budgetBytes
  }

  /** The shard on its way into memory; undefined where the budget is used up. Callers at the same time share one read. */
  #hold(shard: number): Promise<Buffer> | undefined {
    const file = this.#shard(shard)
    if (file.sizeBytes > this.#freeBytes) return undefined
    this.#freeBytes -= file.sizeBytes
    const loading = getArtifact(this.#source.store, this.#source.runId, file).catch((error: unknown) => {
      // The next caller tries again.
      if (this.#held.delete(shard)) this.#freeBytes += file.sizeBytes
      throw error
    })
    this.#held.set(shard, loading)
    return loading
  }

  async #range(row: number, file: ArtifactRef, start: number, length: number): Promise<Buffer> {
    const { store, runId, digests } = this.#source
    const key = artifactKey(runId, file.name)
    try {
      const bytes = await store.getRange(key, start, length)
      if (imageDigest(bytes).equals(digests.of(row))) return bytes
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError || error instanceof ObjectRangeError)) throw error
      throw new ArtifactMismatchError(`"${key}" is missing or too short`, { cause: error })
    }
    throw new ArtifactMismatchError(
      `bytes ${start}..${start + length - 1} of "${key}" do not have the SHA-256 that the index states`,
    )
  }

  #shard(shard: number): ArtifactRef {
    const file = this.#source.shards[shard]
    if (!file) throw new ArtifactMismatchError(`the manifest of run ${this.#source.runId} lists no shard ${shard}`)
    return file
  }
}
