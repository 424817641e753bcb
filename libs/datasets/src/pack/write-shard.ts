/** Decodes the images of one shard and stores them, or keeps what an earlier attempt stored. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { artifactKey, getArtifact, type ObjectStore, putArtifact } from '#libs/artifacts'
import type { PrepareSpec } from '#libs/experiments'
import { ArtifactMismatchError, type ArtifactRef, SpecError } from '#libs/training'
import type { ImageRecord } from '../record.ts'
import { decodeImage } from './decode-image.ts'
import { receiptName, shardName } from './shard-layout.ts'

export interface ShardJob {
  readonly store: ObjectStore
  readonly runId: string
  readonly root: string
  readonly spec: Pick<PrepareSpec, 'sidePx' | 'fit' | 'onBrokenImage'>
  readonly shard: number
  readonly records: readonly ImageRecord[]
  onImage(): void
}

const receiptSchema = z.strictObject({
  sha256: z.string(),
  sizeBytes: z.int(),
  /** Places within the shard whose image is broken; their pixels are zero and no index entry points there. */
  broken: z.array(z.int().min(0)),
})

export interface WrittenShard {
  readonly artifact: ArtifactRef
  readonly broken: readonly number[]
}

/** @throws SpecError for a broken image under `fail`. */
export async function writeShard(job: ShardJob): Promise<WrittenShard> {
  const kept = await earlierShard(job)
  if (kept) return kept
  const { store, runId, shard } = job
  const { pixels, broken } = await decodeShard(job)
  const artifact = await putArtifact(store, runId, shardName(shard), pixels)
  const { sha256, sizeBytes } = artifact
  await store.put(artifactKey(runId, receiptName(shard)), Buffer.from(JSON.stringify({ sha256, sizeBytes, broken })))
  return { artifact, broken }
}

async function earlierShard({ store, runId, shard, records, spec }: ShardJob): Promise<WrittenShard | undefined> {
  const key = artifactKey(runId, receiptName(shard))
  if (!(await store.head(key))) return undefined
  const receipt = receiptSchema.safeParse(parseJson(await store.get(key)))
  if (!receipt.success) return undefined
  const { broken, sha256, sizeBytes } = receipt.data
  if (sizeBytes !== records.length * spec.sidePx ** 2) return undefined
  const artifact = { name: shardName(shard), sha256, sizeBytes }
  try {
    await getArtifact(store, runId, artifact)
  } catch (error) {
    // Missing or damaged: it is decoded again.
    if (error instanceof ArtifactMismatchError) return undefined
    throw error
  }
  return { artifact, broken }
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
  const pixels = new Uint8Array(records.length * spec.sidePx ** 2)
  const broken: number[] = []
  let next = 0
  let failed = false
  const lane = async () => {
    while (next < records.length && !failed) {
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
  return { pixels, broken: broken.sort((a, b) => a - b) }
}

async function decodeInto(pixels: Uint8Array, place: number, { records, root, spec }: ShardJob): Promise<boolean> {
  const { file } = records[place]!
  try {
    pixels.set(await decodeImage(join(root, file), spec.sidePx, spec.fit), place * spec.sidePx ** 2)
    return true
  } catch (error) {
    if (spec.onBrokenImage === 'skip') return false
    throw new SpecError('the image cannot be decoded', { file }, { cause: error })
  }
}
