/** A pack of many images, of whose shards only the first few lie in the store: enough to open it and to read from it. */
import { type ArtifactOwner, type ObjectStore, putArtifact, writeManifest } from '#libs/artifacts'
import { CHEXPERT_LABELS, type ImageRecord } from '#libs/datasets'
import type { ArtifactRef } from '#libs/training'
import { DIGEST_BYTES, ImageDigests, imageDigest } from '../../libs/datasets/src/pack/image-digest.ts'
import { buildIndex, encodeIndex } from '../../libs/datasets/src/pack/pack-index.ts'
import { INDEX_NAME, MANIFEST_NAME, SHARD_IMAGES, shardName } from '../../libs/datasets/src/pack/shard-layout.ts'

const SIDE_PX = 256
const SHARDS_THERE = 8
const OWNER: ArtifactOwner = { runId: 'b'.repeat(64), semantics: 1 }
const WORDS = { split: 'train', sex: 0, view: 0, position: 0, mortality: 0, icu: 0, age: 60 } as const

/** @returns the pack's run id and how many of its shards can be read. */
export async function madePack(store: ObjectStore, rows: number): Promise<{ runId: string; shardsThere: number }> {
  const shards = Math.ceil(rows / SHARD_IMAGES)
  const shardsThere = Math.min(shards, SHARDS_THERE)
  const imageBytes = SIDE_PX ** 2
  const pixels = Buffer.alloc(SHARD_IMAGES * imageBytes, 7)
  const there: ArtifactRef[] = []
  for (let shard = 0; shard < shardsThere; shard++) {
    const images = Math.min(SHARD_IMAGES, rows - shard * SHARD_IMAGES)
    there.push(await putArtifact(store, OWNER.runId, shardName(shard), pixels.subarray(0, images * imageBytes)))
  }
  const absent = Array.from({ length: shards - shardsThere }, (_, at) => ({ ...there[0]!, name: shardName(shardsThere + at) }))
  const labels = new Uint8Array(CHEXPERT_LABELS.length)
  const records = Array.from(
    { length: rows },
    (_, at): ImageRecord => ({ ...WORDS, labels, id: `image-${at}`, patient: `patient-${at >> 2}`, file: '' }),
  )
  const digest = imageDigest(pixels.subarray(0, imageBytes))
  const digests = new ImageDigests(Buffer.alloc(rows * DIGEST_BYTES, digest))
  const slots = Int32Array.from({ length: rows }, (_, at) => at)
  const shape = { sidePx: SIDE_PX, labelNames: CHEXPERT_LABELS }
  const index = encodeIndex(buildIndex(records, { slots, digests }, shape, { dataset: 'made', fingerprint: 'f' }))
  const files = [...there, ...absent, await putArtifact(store, OWNER.runId, INDEX_NAME, index)]
  await writeManifest(store, MANIFEST_NAME, { ...OWNER, files, meta: {} })
  return { runId: OWNER.runId, shardsThere }
}
