/** Reader of a pack. */
import { artifactKey, fileNamed, getArtifact, type ObjectStore, readManifest } from '#libs/artifacts'
import { ArtifactMismatchError, type Pack } from '#libs/training'
import { decodeIndex, keyAt } from './pack-index.ts'
import { PixelReader } from './pixel-reader.ts'
import { INDEX_NAME, isShardName, MANIFEST_NAME } from './shard-layout.ts'

export interface OpenPackOptions {
  readonly semantics: number
  /** For shards held in memory; the images of others are read one by one. 0: all are. */
  readonly memoryBudgetBytes: number
}

/**
 * Opens the pack of a prepare run: reads and verifies the index; pixels are read and verified when an image is first needed.
 * @throws ArtifactMismatchError where the pack is missing, unfinished, damaged or of other semantics.
 */
export async function openPack(store: ObjectStore, runId: string, options: OpenPackOptions): Promise<Pack> {
  const manifest = await readManifest(store, MANIFEST_NAME, { runId, semantics: options.semantics })
  if (!manifest) throw new ArtifactMismatchError(`run ${runId} has no finished pack`)
  const bytes = await getArtifact(store, runId, fileNamed(manifest, INDEX_NAME))
  const { count, sidePx, labelNames, columns, keys, slots, digests } = decodeIndex(bytes, artifactKey(runId, INDEX_NAME))
  const shards = manifest.files.filter((file) => isShardName(file.name))
  const reader = new PixelReader({ store, runId, sidePx, shards, slots, digests, budgetBytes: options.memoryBudgetBytes })
  const checked = (index: number): number => {
    if (!Number.isInteger(index) || index < 0 || index >= count) throw new RangeError(`image ${index} of a pack of ${count}`)
    return index
  }
  return {
    count,
    sidePx,
    labelNames,
    columns,
    sampleKey: (index) => keyAt(keys, checked(index)),
    image: async (index) => reader.image(checked(index)),
    close: async () => reader.clear(),
  }
}
