/** Reader of NIH ChestX-ray14 (Wang et al. 2017). */
import { SpecError } from '#libs/training'
import type { DatasetInventory, DatasetReader, DatasetTable, ImageRecord, ReadOptions } from '../record.ts'
import type { DatasetSource } from '../source.ts'
import { nih14Inventory, TABLE_PREFIX, TEST_LIST, TRAIN_VALIDATION_LIST } from './files.ts'
import { NIH14_LABELS } from './labels.ts'
import { checkLists, type ImageList, parseImageList, splitPatients } from './splits.ts'
import { NIH14_UNKNOWN, type Nih14Row, parseNih14Table } from './table.ts'

/** Rows that stand in no list are left out: an official part of the data set, as a copy may hold, is valid. */
export const nih14Reader: DatasetReader = { inventory: ({ root }) => nih14Inventory(root), read: readNih14 }

async function readNih14(
  { root }: DatasetSource,
  { tables, images }: DatasetInventory,
  options: ReadOptions,
): Promise<DatasetTable> {
  const table = tables.find(({ name }) => name.startsWith(TABLE_PREFIX))!.file
  const text = async (file: string) => (await root.read(file)).toString('utf8')
  const rows = parseNih14Table(await text(table), table)
  const trainValidation = parseImageList(await text(TRAIN_VALIDATION_LIST), TRAIN_VALIDATION_LIST)
  const test = parseImageList(await text(TEST_LIST), TEST_LIST)
  checkLists(trainValidation, test, rows)
  const listed = [...trainValidation.keys(), ...test.keys()].map((id) => rows.get(id)!).sort((a, b) => (a.id < b.id ? -1 : 1))
  const paths = filesByName(images)
  const absent = listed.filter((row) => !paths.has(row.id))
  refuseAbsent(absent, table, options)
  const found = listed.filter((row) => paths.has(row.id))
  const kept = found.filter((row) => options.includeNoFinding || !row.noFinding)
  const patients = (list: ImageList) => new Set([...list.keys()].map((id) => rows.get(id)!.patient))
  const splits = splitPatients(patients(trainValidation), patients(test), options)
  const records = kept.map((row): ImageRecord => {
    const { id, patient, sex, age, view, labels } = row
    return { id, patient, sex, age, view, labels, ...NIH14_UNKNOWN, file: paths.get(id)!, split: splits.get(patient)! }
  })
  return { labelNames: NIH14_LABELS, records, notes: notesOf(rows, listed, found, kept) }
}

function filesByName(images: readonly { file: string }[]): Map<string, string> {
  const files = new Map<string, string>()
  for (const { file } of images) {
    const name = file.slice(file.lastIndexOf('/') + 1)
    const other = files.get(name)
    if (other) throw new SpecError(`the image lies twice, also at ${other}`, { file })
    files.set(name, file)
  }
  return files
}

function refuseAbsent([first, ...rest]: readonly Nih14Row[], file: string, { onBrokenImage }: ReadOptions): void {
  if (!first || onBrokenImage === 'skip') return
  throw new SpecError(`${rest.length + 1} listed images have no file, the first on this line`, { file, line: first.line })
}

function notesOf(
  rows: ReadonlyMap<string, Nih14Row>,
  listed: readonly Nih14Row[],
  found: readonly Nih14Row[],
  kept: readonly Nih14Row[],
) {
  return {
    'rows in no list': rows.size - listed.length,
    'images without a file left out': listed.length - found.length,
    'rows without finding left out': found.length - kept.length,
    'impossible ages': kept.filter((row) => Number.isNaN(row.age)).length,
  }
}
