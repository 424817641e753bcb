/** Decodes the images of one shard and stores them, or keeps what an earlier attempt stored. */
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { artifactKey, getArtifact, type ObjectStore, putArtifact } from '#libs/artifacts'
import type { PrepareSpec } from '#libs/experiments'
import { ArtifactMismatchError, type ArtifactRef, SpecError, StoppedError } from '#libs/training'
import type { DatasetFiles } from '../files/dataset-files.ts'
import type { ImageRecord } from '../record.ts'
import { decodeImage, tuneDecoder } from './decode-image.ts'
import { DIGEST_BYTES, imageDigest } from './image-digest.ts'
import { receiptName, shardName } from './shard-layout.ts'

export interface ShardJob {
  readonly store: ObjectStore
  readonly runId: string
  readonly files: Pick<DatasetFiles, 'image'>
  readonly spec: Pick<PrepareSpec, 'sidePx' | 'fit' | 'onBrokenImage'>
  readonly shard: number
  readonly records: readonly ImageRecord[]
  onImage(): void
  stopRequested(): boolean
}

const receiptSchema = z.strictObject({
  sha256: z.string(),
  sizeBytes: z.int(),
  /** Places within the shard whose image is broken; their pixels are zero and no index entry points there. */
  broken: z.array(z.int().min(0)),
  /** Hex of all digests, one image after the other. */
  digests: z.string().regex(/^[0-9a-f]*$/),
})

export interface WrittenShard {
  readonly artifact: ArtifactRef
  readonly broken: readonly number[]
  /** [records, 16] */
  readonly digests: Uint8Array
}

/** @throws SpecError for a broken image under `fail`; StoppedError, with nothing of the shard kept, where a stop is asked for. */
export async function writeShard(job: ShardJob): Promise<WrittenShard> {
  const kept = await earlierShard(job)
  if (kept) return kept
  const { store, runId, shard } = job
  const { pixels, broken } = await decodeShard(job)
  const digests = digestsOf(pixels, job.spec.sidePx ** 2)
  const artifact = await putArtifact(store, runId, shardName(shard), pixels)
  const { sha256, sizeBytes } = artifact
  const receipt = { sha256, sizeBytes, broken, digests: digests.toString('hex') }
  await store.put(artifactKey(runId, receiptName(shard)), Buffer.from(JSON.stringify(receipt)))
  return { artifact, broken, digests }
}

function digestsOf(pixels: Uint8Array, imageBytes: number): Buffer {
  const images = pixels.byteLength / imageBytes
  return Buffer.concat(
    Array.from({ length: images }, (_, i) => imageDigest(pixels.subarray(i * imageBytes, (i + 1) * imageBytes))),
  )
}

async function earlierShard({ store, runId, shard, records, spec }: ShardJob): Promise<WrittenShard | undefined> {
  const key = artifactKey(runId, receiptName(shard))
  if (!(await store.head(key))) return undefined
  const receipt = receiptSchema.safeParse(parseJson(await store.get(key)))
  if (!receipt.success) return undefined
  const { broken, sha256, sizeBytes } = receipt.data
  const digests = Buffer.from(receipt.data.digests, 'hex')
  const fits = sizeBytes === records.length * spec.sidePx ** 2 && digests.byteLength === records.length * DIGEST_BYTES
  if (!fits) return undefined
  const artifact = { name: shardName(shard), sha256, sizeBytes }
  try {
    await getArtifact(store, runId, artifact)
  } catch (error) {
    // Missing or damaged: it is decoded again.
    if (error instanceof ArtifactMismatchError) return undefined
    throw error
  }
  return { artifact, broken, digests }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Cores many images at once; all of them end before an error is thrown. */
async function decodeShard(job: ShardJob): Promise<{ pixels: Uint8Array; broken: number[] }> {
  const { records, spec } = job
  tuneDecoder()
  const pixels = new Uint8Array(records.length * spec.sidePx ** 2)
  const broken: number[] = []
  let next = 0
  let failed = false
  const lane = async () => {
    while (next < records.length && !failed && !job.stopRequested()) {
      const place = next++
      try {
        const whole = await decodeInto(pixels, place, job)
        if (!whole) broken.push(place)
      } catch (error) {
        failed = true
        throw error
      }
      job.onImage()
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: availableParallelism() }, lane))
  for (const one of lanes) if (one.status === 'rejected') throw one.reason
  if (next < records.length) throw new StoppedError(`stopped within shard ${job.shard}`)
  return { pixels, broken: broken.sort((a, b) => a - b) }
}

async function decodeInto(pixels: Uint8Array, place: number, { records, files, spec }: ShardJob): Promise<boolean> {
  const { file } = records[place]!
  try {
    pixels.set(await decodeImage(await files.image(file), spec.sidePx, spec.fit), place * spec.sidePx ** 2)
    return true
  } catch (error) {
    if (spec.onBrokenImage === 'skip') return false
    throw new SpecError('the image cannot be decoded', { file }, { cause: error })
  }
}
