/** File layout of NIH ChestX-ray14: `images_NNN/images/*.png`, the table and the two official lists. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SpecError } from '#libs/training'
import type { DatasetFiles } from '../record.ts'

export const TABLE_NAMES = ['Data_Entry_2017.csv', 'Data_Entry_2017_v2020.csv'] as const
export const TRAIN_VALIDATION_LIST = 'train_val_list.txt'
export const TEST_LIST = 'test_list.txt'

const IMAGE_FOLDER = /^images(_\d+)?$/
const IMAGE = /\.png$/i
/** Files asked for their size at once. */
const STATS_AT_ONCE = 64

export interface Nih14Layout extends DatasetFiles {
  readonly table: string
}

/** @throws SpecError that names what is missing. */
export async function nih14Layout(root: string): Promise<Nih14Layout> {
  const entries = await entriesOf(root)
  const table = TABLE_NAMES.find((name) => entries.includes(name))
  if (!table)
    throw new SpecError(`not an NIH ChestX-ray14 folder: neither ${TABLE_NAMES.join(' nor ')} is there`, { field: 'root' })
  for (const list of [TRAIN_VALIDATION_LIST, TEST_LIST]) {
    if (!entries.includes(list)) throw new SpecError('not an NIH ChestX-ray14 folder: a list is missing', { file: list })
  }
  const images = await imagesOf(root, entries)
  if (images.length === 0) {
    throw new SpecError('not an NIH ChestX-ray14 folder: no image under images_*/images/*.png', { field: 'root' })
  }
  return { table, tables: [table, TEST_LIST, TRAIN_VALIDATION_LIST], images }
}

async function entriesOf(root: string): Promise<string[]> {
  try {
    return await readdir(root)
  } catch (error) {
    throw new SpecError('the root of the data set cannot be read', { field: 'root' }, { cause: error })
  }
}

async function imageNames(root: string, folder: string): Promise<string[]> {
  try {
    return await readdir(join(root, folder, 'images'))
  } catch (error) {
    // A folder of another shape holds no images of this data set; one that cannot be read is a problem.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw new SpecError('a folder of images cannot be read', { file: `${folder}/images` }, { cause: error })
  }
}

async function imagesOf(root: string, entries: readonly string[]): Promise<{ file: string; sizeBytes: number }[]> {
  const files: string[] = []
  for (const folder of entries.filter((name) => IMAGE_FOLDER.test(name)).sort()) {
    const names = await imageNames(root, folder)
    for (const name of names.filter((one) => IMAGE.test(one)).sort()) files.push(`${folder}/images/${name}`)
  }
  const sized: { file: string; sizeBytes: number }[] = []
  for (let start = 0; start < files.length; start += STATS_AT_ONCE) {
    const some = files.slice(start, start + STATS_AT_ONCE)
    sized.push(...(await Promise.all(some.map(async (file) => ({ file, sizeBytes: (await stat(join(root, file))).size })))))
  }
  return sized
}
