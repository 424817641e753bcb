import type { DatasetInventory } from '../record.ts'
import type { DatasetFiles } from './dataset-files.ts'

/** Those of `images` that lie there, sorted, with their sizes. */
export async function sizedImages(files: DatasetFiles, images: readonly string[]): Promise<DatasetInventory['images']> {
  const sorted = [...images].sort()
  const sizes = await files.sizes(sorted)
  return sorted.flatMap((file, at) => {
    const sizeBytes = sizes[at]
    return sizeBytes === undefined ? [] : [{ file, sizeBytes }]
  })
}
