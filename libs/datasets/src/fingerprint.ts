/** What a data set consisted of when it was registered. */
import { createHash, type Hash } from 'node:crypto'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { DatasetKind, DatasetOptions } from '#libs/experiments'
import { SpecError } from '#libs/training'
import { readerOf } from './readers.ts'
import type { DatasetInventory, InventoryTable } from './record.ts'
import { type DatasetAccess, type DatasetAddress, withSource } from './source.ts'

/**
 * SHA-256 (hex) over the contents of the tables that are read, the split rule, and path and size of each image. Pixels are not
 * read: on 112,120 images that would take as long as decoding them.
 * @throws SpecError where the files do not look like that kind, or a packed table is cut short.
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

async function tableHash({ name, files, file }: InventoryTable): Promise<string> {
  const hash = createHash('sha256')
  const bytes = hashing(await files.stream(file), hash)
  if (file.endsWith('.gz')) await checkPacked(bytes, name)
  else for await (const _ of bytes);
  return hash.digest('hex')
}

async function* hashing(bytes: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    hash.update(chunk)
    yield chunk
  }
}

/** DuckDB reads a packed table that is cut short as far as it goes and says nothing. */
async function checkPacked(bytes: AsyncIterable<Uint8Array>, name: string): Promise<void> {
  const drain = new Writable({ write: (_chunk, _encoding, done) => done() })
  try {
    await pipeline(bytes, createGunzip(), drain)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!code.startsWith('Z_')) throw error
    throw new SpecError('the packed table is cut short or damaged: download it again', { file: name }, { cause: error })
  }
}
