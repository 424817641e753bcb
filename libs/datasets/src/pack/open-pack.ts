/** Reader of a pack. */
import { artifactKey, fileNamed, getArtifact, type ObjectStore, readManifest } from '#libs/artifacts'
import { ArtifactMismatchError, type Pack } from '#libs/training'
import { decodeIndex, keyAt } from './pack-index.ts'
import { ShardCache } from './shard-cache.ts'
import { INDEX_NAME, MANIFEST_NAME, SHARD_IMAGES, shardName } from './shard-layout.ts'

export interface OpenPackOptions {
  readonly semantics: number
  /** For shards held in memory. */
  readonly memoryBudgetBytes: number
}

/**
 * Opens the pack of a prepare run: reads and verifies the index; a shard is read and verified when an image of it is first needed.
 * @throws ArtifactMismatchError where the pack is missing, unfinished, damaged or of other semantics.
 */
export async function openPack(store: ObjectStore, runId: string, options: OpenPackOptions): Promise<Pack> {
  const manifest = await readManifest(store, MANIFEST_NAME, { runId, semantics: options.semantics })
  if (!manifest) throw new ArtifactMismatchError(`run ${runId} has no finished pack`)
  const bytes = await getArtifact(store, runId, fileNamed(manifest, INDEX_NAME))
  const { count, sidePx, labelNames, columns, keys, slots } = decodeIndex(bytes, artifactKey(runId, INDEX_NAME))
  const file = (shard: number) => fileNamed(manifest, shardName(shard))
  const cache = new ShardCache(
    options.memoryBudgetBytes,
    (shard) => file(shard).sizeBytes,
    (shard) => getArtifact(store, runId, file(shard)),
  )
  const pixels = sidePx * sidePx
  const inside = (index: number): number => {
    const slot = slots[index]
    if (slot === undefined) throw new RangeError(`image ${index} of a pack of ${count}`)
    return slot
  }
  return {
    count,
    sidePx,
    labelNames,
    columns,
    sampleKey: (index) => {
      inside(index)
      return keyAt(keys, index)
    },
    image: async (index) => {
      const slot = inside(index)
      const shard = await cache.get(Math.floor(slot / SHARD_IMAGES))
      const start = (slot % SHARD_IMAGES) * pixels
      return shard.subarray(start, start + pixels)
    },
    close: async () => cache.clear(),
  }
}
