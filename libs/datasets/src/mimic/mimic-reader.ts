/** Reader of MIMIC-CXR-JPG (Johnson et al. 2019), with EHR variables of MIMIC-IV. */
import { SpecError } from '#libs/training'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import { sizedImages } from '../files/sized-images.ts'
import type { DatasetInventory, DatasetReader, DatasetTable, ReadOptions } from '../record.ts'
import type { DatasetSource } from '../source.ts'
import { type TableDatabase, withTableDatabase } from '../tables/table-database.ts'
import { deriveEhr, loadMimicIv, unknownEhr } from './derive-ehr.ts'
import { ID_COLUMNS, IMAGE_ID_RULES, loadImages, loadLabels } from './load-images.ts'
import { icuSplit, loadSplit } from './load-splits.ts'
import { imagePath, MimicRecords } from './records.ts'
import { findMimicTables, type MimicTables, tablesOf } from './tables.ts'

export const mimicReader: DatasetReader = { inventory: mimicInventory, read: readMimic }

/** Images are those that the metadata name: 377,110 questions to a file system, where walking 293,000 folders would take longer. */
async function mimicInventory(source: DatasetSource): Promise<DatasetInventory> {
  const tables = await findMimicTables(source)
  const { metadata } = tables
  const paths = await withTableDatabase(async (database) => {
    await database.load('raw_id', metadata, ID_COLUMNS)
    await database.check('raw_id', metadata, IMAGE_ID_RULES)
    const paths: string[] = []
    for await (const chunk of database.chunks(`SELECT ${ID_COLUMNS.join(', ')} FROM raw_id`)) {
      for (const [dicom, subject, study] of chunk.getRows()) {
        paths.push(imagePath(String(dicom), String(subject), String(study)))
      }
    }
    return paths
  })
  const images = await sizedImages(source.root, paths)
  if (images.length === 0) {
    throw new SpecError('not a MIMIC-CXR-JPG folder: no image of the metadata lies under files/pNN/pNNNNNNNN/sNNNNNNNN', {
      field: 'root',
    })
  }
  return { tables: tablesOf(tables), images }
}

async function readMimic(source: DatasetSource, { images }: DatasetInventory, options: ReadOptions): Promise<DatasetTable> {
  const tables = await findMimicTables(source)
  const records = new MimicRecords(tables, images, options)
  await withTableDatabase(async (database) => {
    await loadTables(database, source, tables, options)
    await records.take(database)
  })
  return { labelNames: CHEXPERT_LABELS, records: records.finish(), notes: records.notes }
}

/** Tables `image`, `label`, `ehr` and `split`. */
async function loadTables(
  database: TableDatabase,
  { options: { splitRule } }: DatasetSource,
  { metadata, chexpert, split, mimicIv }: MimicTables,
  options: ReadOptions,
): Promise<void> {
  await loadImages(database, metadata)
  await loadLabels(database, chexpert, options.uncertain)
  if (mimicIv) {
    await loadMimicIv(database, mimicIv)
    await deriveEhr(database)
  } else await unknownEhr(database)
  if (split) await loadSplit(database, split, splitRule === 'file')
  else await icuSplit(database, options)
}
