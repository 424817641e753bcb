/** File layout of CheXpert and CheXpert-small: tables with paths, and the images that they name. */
import { SpecError } from '#libs/training'
import { sizedImages } from '../files/sized-images.ts'
import type { DatasetInventory } from '../record.ts'
import type { DatasetSource } from '../source.ts'
import { type ChexpertRow, parseChexpertTable } from './table.ts'

export const CHEXPERT_SPLITS = ['train', 'validation', 'test'] as const

/** The test set came later than the rest and is a download of its own, so a copy may lack it. */
const TABLES = {
  train: ['train.csv'],
  validation: ['valid.csv'],
  test: ['test.csv', 'test_labels.csv'],
} as const satisfies Record<(typeof CHEXPERT_SPLITS)[number], readonly string[]>

export type ChexpertTables = Readonly<Partial<Record<(typeof CHEXPERT_SPLITS)[number], string>>>

/** @throws SpecError that names the table that is missing. */
async function findTables({ root }: DatasetSource): Promise<ChexpertTables> {
  const names = await root.names('')
  const found: Partial<Record<keyof ChexpertTables, string>> = {}
  for (const split of CHEXPERT_SPLITS) {
    const file = TABLES[split].find((name) => names.includes(name))
    if (file) found[split] = file
    else if (split !== 'test') throw new SpecError(`a table is missing: CheXpert-v1.0: ${TABLES[split][0]}`, { field: 'root' })
  }
  return found
}

/** Rows of each table that is there. @throws SpecError with file, line and column. */
export async function chexpertRows(
  source: DatasetSource,
): Promise<{ readonly tables: ChexpertTables; readonly rows: ChexpertRow[] }> {
  const tables = await findTables(source)
  const rows: ChexpertRow[] = []
  const lines = new Map<string, ChexpertRow>()
  for (const split of CHEXPERT_SPLITS) {
    const file = tables[split]
    if (!file) continue
    parseChexpertTable((await source.root.read(file)).toString('utf8'), file, split, (row) => {
      const earlier = lines.get(row.file)
      if (earlier) {
        throw new SpecError(`the image is listed already in ${earlier.table}, line ${earlier.line}`, {
          file,
          line: row.line,
          field: 'Path',
        })
      }
      lines.set(row.file, row)
      rows.push(row)
    })
  }
  return { tables, rows }
}

export async function chexpertInventory(source: DatasetSource): Promise<DatasetInventory> {
  const { tables, rows } = await chexpertRows(source)
  const images = await sizedImages(
    source.root,
    rows.map((row) => row.file),
  )
  if (images.length === 0) throw new SpecError('not a CheXpert folder: no image of its tables lies there', { field: 'root' })
  const names = Object.values(tables).sort()
  return { tables: names.map((file) => ({ name: file, files: source.root, file })), images }
}
