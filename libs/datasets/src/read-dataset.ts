/** One data set, read from where it was registered. */
import { readerOf } from './readers.ts'
import type { DatasetTable, ReadOptions } from './record.ts'
import { type DatasetAccess, type DatasetAddress, withSource } from './source.ts'

/** @throws SpecError as the reader of its kind does. */
export async function readDataset(
  address: DatasetAddress,
  options: ReadOptions,
  access: DatasetAccess = {},
): Promise<DatasetTable> {
  const reader = readerOf(address.kind)
  return withSource(address, access, async (source) => reader.read(source, await reader.inventory(source), options))
}
