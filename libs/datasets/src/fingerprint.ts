/** What a data set consisted of when it was registered. */
import { createHash } from 'node:crypto'
import type { DatasetKind, DatasetOptions } from '#libs/experiments'
import { readerOf } from './readers.ts'
import type { DatasetInventory, InventoryTable } from './record.ts'
import { type DatasetAccess, type DatasetAddress, withSource } from './source.ts'

/**
 * SHA-256 (hex) over the contents of the tables that are read, the split rule, and path and size of each image. Pixels are not
 * read: on 112,120 images that would take as long as decoding them.
 * @throws SpecError where the kind has no reader or the files do not look like that kind.
 */
export async function fingerprintDataset(address: DatasetAddress, access: DatasetAccess = {}): Promise<string> {
  const reader = readerOf(address.kind)
  return withSource(address, access, async (source) =>
    fingerprintOf(address.kind, source.options, await reader.inventory(source)),
  )
}

export async function fingerprintOf(
  kind: DatasetKind,
  { splitRule }: Pick<DatasetOptions, 'splitRule'>,
  { tables, images }: DatasetInventory,
): Promise<string> {
  const hash = createHash('sha256').update(`${kind}\n`)
  // The rule is told where it is a choice, so that a data set of another kind has one fingerprint.
  if (splitRule !== 'official') hash.update(`split rule ${splitRule}\n`)
  for (const table of tables) hash.update(`table ${JSON.stringify(table.name)} ${await tableHash(table)}\n`)
  for (const { file, sizeBytes } of images) hash.update(`image ${JSON.stringify(file)} ${sizeBytes}\n`)
  return hash.digest('hex')
}

async function tableHash({ files, file }: InventoryTable): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of await files.stream(file)) hash.update(chunk)
  return hash.digest('hex')
}
