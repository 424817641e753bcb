/** What a data set consisted of when it was registered. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { DatasetKind } from '#libs/experiments'
import { readerOf } from './readers.ts'

/**
 * SHA-256 (hex) over the contents of tables and lists and over path and size of each image. Pixels are not read: on 112,120
 * images that would take as long as decoding them.
 * @throws SpecError where the kind has no reader or the root does not look like that kind.
 */
export async function fingerprintDataset(kind: DatasetKind, root: string): Promise<string> {
  const { tables, images } = await readerOf(kind).files(root)
  const hash = createHash('sha256').update(`${kind}\n`)
  for (const file of tables) {
    hash.update(`table ${JSON.stringify(file)} ${await fileHash(join(root, file))}\n`)
  }
  for (const { file, sizeBytes } of images) hash.update(`image ${JSON.stringify(file)} ${sizeBytes}\n`)
  return hash.digest('hex')
}

async function fileHash(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
