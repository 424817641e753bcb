/** One data set, read from where it was registered. */
import { SpecError } from '#libs/training'
import { readerOf } from './readers.ts'
import type { DatasetInventory, DatasetReader, DatasetTable, ReadOptions } from './record.ts'
import { type DatasetAccess, type DatasetAddress, type DatasetSource, withSource } from './source.ts'
import { refuseCrossing } from './splits/crossing.ts'

/** @throws SpecError as the reader of its kind does, and where patients stand in two splits. */
export async function readDataset(
  address: DatasetAddress,
  options: ReadOptions,
  access: DatasetAccess = {},
): Promise<DatasetTable> {
  const reader = readerOf(address.kind)
  return withSource(address, access, async (source) => readTable(reader, source, await reader.inventory(source), options))
}

/** What a reader reads, held to what must hold for every kind. @throws SpecError */
export async function readTable(
  reader: DatasetReader,
  source: DatasetSource,
  inventory: DatasetInventory,
  options: ReadOptions,
): Promise<DatasetTable> {
  const table = await reader.read(source, inventory, options)
  if (table.records.length === 0) {
    const counted = Object.entries(table.notes).flatMap(([note, count]) => (count > 0 ? [`${count} ${note}`] : []))
    throw new SpecError(`no image is left to prepare: ${counted.join(', ') || 'the tables have no row'}`)
  }
  refuseCrossing(table.records)
  return table
}
