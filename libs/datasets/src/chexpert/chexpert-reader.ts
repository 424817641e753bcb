/** Reader of CheXpert and CheXpert-small (Irvin et al. 2019). */
import { SpecError } from '#libs/training'
import { CHEXPERT_LABELS, uncertainCode } from '../chexpert-labels.ts'
import type { DatasetInventory, DatasetReader, DatasetTable, ImageRecord, ReadOptions } from '../record.ts'
import { MISSING } from '../record.ts'
import type { DatasetSource } from '../source.ts'
import { chexpertInventory, chexpertRows } from './files.ts'
import type { ChexpertRow } from './table.ts'

export const chexpertReader: DatasetReader = { inventory: chexpertInventory, read: readChexpert }

async function readChexpert(source: DatasetSource, { images }: DatasetInventory, options: ReadOptions): Promise<DatasetTable> {
  const { rows } = await chexpertRows(source)
  const there = new Set(images.map((image) => image.file))
  const lacking = rows.filter((row) => !there.has(row.file))
  const [first] = lacking
  if (first && options.onBrokenImage === 'fail') {
    const { table: file, line } = first
    throw new SpecError(`${lacking.length} images have no file, the first on this line`, { file, line })
  }
  const present = rows.filter((row) => there.has(row.file))
  const records = present.map((row) => recordOf(row, options))
  const kept = records.filter((record) => !(options.dropAllZero && record.split === 'test' && !record.labels.includes(1)))
  const notes = {
    'images without a file left out': lacking.length,
    'test images without a positive label left out': records.length - kept.length,
    'images without age': kept.filter((record) => Number.isNaN(record.age)).length,
  }
  return { labelNames: CHEXPERT_LABELS, records: kept.sort((a, b) => (a.id < b.id ? -1 : 1)), notes }
}

/** CheXpert tells neither position nor stay. */
function recordOf(row: ChexpertRow, { uncertain }: Pick<ReadOptions, 'uncertain'>): ImageRecord {
  const { file, patient, split, sex, view, age } = row
  const labels = Uint8Array.from(row.labels, (label) => (label === 'blank' ? 0 : label === -1 ? uncertainCode(uncertain) : label))
  return { id: file, patient, file, split, sex, view, age, labels, position: MISSING, mortality: MISSING, icu: MISSING }
}
