/** Which split each image of MIMIC-CXR is in. */
import { SPLITS, type Split } from '#libs/experiments'
import { drawsOf, permutation, SpecError } from '#libs/training'
import type { InventoryTable, ReadOptions } from '../record.ts'
import { literal, type TableDatabase } from '../tables/table-database.ts'

/** Words of the official table, and those that own tables use. */
const WORDS: Readonly<Record<string, Split>> = {
  train: 'train',
  validate: 'validation',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  test: 'test',
}

/** Share of the ICU patients that is tested on under split rule `icu`. */
const ICU_TEST_SHARE = 0.2

/**
 * Table `split` (dicom_id, split: place in SPLITS) of a split table.
 * @param own a table of the user's: an image in it that the metadata lack is a mistake there, while the official table is always
 *   whole and the metadata may be a part.
 * @throws SpecError with file, line and column.
 */
export async function loadSplit(database: TableDatabase, table: InventoryTable, own: boolean): Promise<void> {
  const words = Object.keys(WORDS).map(literal).join(', ')
  await database.load('raw_split', table, ['dicom_id', 'split'])
  await database.check('raw_split', table, [
    { column: 'dicom_id', broken: 'dicom_id IS NULL', problem: 'the cell is empty' },
    {
      column: 'split',
      broken: `coalesce(split, '') NOT IN (${words})`,
      problem: `the split is none of ${Object.keys(WORDS).join(', ')}`,
    },
  ])
  await database.checkUnique('raw_split', table, 'dicom_id', 'the image')
  if (own) {
    const unknown = await database.value('SELECT min(raw_split.rowid)::INTEGER FROM raw_split ANTI JOIN image USING (dicom_id)')
    if (typeof unknown === 'number') {
      throw new SpecError('the image has no row in the metadata', { file: table.name, line: unknown + 2, field: 'dicom_id' })
    }
  }
  const cases = Object.entries(WORDS).map(([word, split]) => `WHEN ${literal(word)} THEN ${SPLITS.indexOf(split)}`)
  await database.run(
    `CREATE TABLE split AS SELECT dicom_id, (CASE split ${cases.join(' ')} END)::UTINYINT AS split FROM raw_split`,
  )
  await database.run('DROP TABLE raw_split')
}

/**
 * Table `split` of rule `icu`: of the patients with an ICU stay, a share of `validationFraction` and one of .2 are drawn for
 * validation and test; all other patients train, those without an ICU stay among them. The paper's authors split
 * MIMIC-CXR by this rule; shares and draw are ours.
 * @throws SpecError where there are too few ICU patients for three splits.
 */
export async function icuSplit(
  database: TableDatabase,
  options: Pick<ReadOptions, 'validationFraction' | 'splitSeed'>,
): Promise<void> {
  const patients: number[] = []
  for await (const chunk of database.chunks('SELECT DISTINCT subject_id FROM icu_stay ORDER BY subject_id')) {
    for (const subject of chunk.getColumnValues(0)) patients.push(subject as number)
  }
  if (patients.length < 3) throw new SpecError('split rule "icu" needs three ICU patients at least', { field: 'splitRule' })
  const order = permutation(drawsOf({ seed: options.splitSeed, purpose: 'icu-split' }), patients.length)
  const share = (fraction: number) => Math.max(1, Math.round(patients.length * fraction))
  const [validation, test] = [share(options.validationFraction), share(ICU_TEST_SHARE)]
  const listed = (from: number, to: number) => [...order.subarray(from, to)].map((place) => patients[place]).join(', ')
  await database.run(`CREATE TABLE split AS SELECT dicom_id,
      (CASE WHEN subject_id IN (${listed(0, validation)}) THEN ${SPLITS.indexOf('validation')}
        WHEN subject_id IN (${listed(validation, validation + test)}) THEN ${SPLITS.indexOf('test')}
        ELSE ${SPLITS.indexOf('train')} END)::UTINYINT AS split
    FROM image`)
}
