/** File layout of NIH ChestX-ray14: `images_NNN/images/*.png` or one folder `images`, the table and the two official lists. */
import { SpecError } from '#libs/training'
import type { DatasetFiles } from '../files/dataset-files.ts'
import { sizedImages } from '../files/sized-images.ts'
import type { DatasetInventory } from '../record.ts'

export const TABLE_PREFIX = 'Data_Entry_2017'
const TABLE_NAMES = [`${TABLE_PREFIX}.csv`, `${TABLE_PREFIX}_v2020.csv`]
export const TRAIN_VALIDATION_LIST = 'train_val_list.txt'
export const TEST_LIST = 'test_list.txt'

const IMAGE_FOLDER = /^images(_\d+)?$/
const IMAGE = /\.png$/i

/** @throws SpecError that names what is missing. */
export async function nih14Inventory(files: DatasetFiles): Promise<DatasetInventory> {
  const entries = await files.names('')
  const table = TABLE_NAMES.find((name) => entries.includes(name))
  if (!table)
    throw new SpecError(`not an NIH ChestX-ray14 folder: neither ${TABLE_NAMES.join(' nor ')} is there`, { field: 'root' })
  for (const list of [TRAIN_VALIDATION_LIST, TEST_LIST]) {
    if (!entries.includes(list)) throw new SpecError('not an NIH ChestX-ray14 folder: a list is missing', { file: list })
  }
  const images = await sizedImages(files, await imagesOf(files, entries))
  if (images.length === 0) {
    throw new SpecError('not an NIH ChestX-ray14 folder: no image under images_*/images/*.png or images/*.png', { field: 'root' })
  }
  const tables = [table, TEST_LIST, TRAIN_VALIDATION_LIST].map((file) => ({ name: file, files, file }))
  return { tables, images }
}

async function imagesOf(files: DatasetFiles, entries: readonly string[]): Promise<string[]> {
  const images: string[] = []
  for (const folder of entries.filter((name) => IMAGE_FOLDER.test(name))) {
    for (const inner of [folder, `${folder}/images`]) {
      const names = await files.names(inner)
      for (const name of names.filter((one) => IMAGE.test(one))) images.push(`${inner}/${name}`)
    }
  }
  return images
}
