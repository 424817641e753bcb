/** Tables of CheXpert: one row an image, named by its path. */
import { EHR_CATEGORIES, type Split } from '#libs/experiments'
import { SpecError } from '#libs/training'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import { type CsvRow, readCsv } from '../csv/csv-table.ts'
import { MISSING } from '../record.ts'

/** A label as the table has it: `blank` is no mention, -1 uncertain. */
export type RawLabel = 1 | 0 | -1 | 'blank'

export interface ChexpertRow {
  readonly table: string
  readonly line: number
  readonly split: Split
  /** Relative to the root: `train/patient00001/study1/view1_frontal.jpg`. */
  readonly file: string
  readonly patient: string
  readonly sex: number
  readonly view: number
  /** Years; NaN where missing. */
  readonly age: number
  /** In the order of CHEXPERT_LABELS. */
  readonly labels: readonly RawLabel[]
}

const EHR_COLUMNS = ['Sex', 'Age', 'Frontal/Lateral', 'AP/PA'] as const
type Column = 'Path' | (typeof EHR_COLUMNS)[number] | (typeof CHEXPERT_LABELS)[number]

/** The folder that the archive unpacks to stands before `train/`; a copy may have another name for it. */
const PATH = /(?:^|\/)((?:train|valid|test)\/(patient\d+)\/study\d+\/view\d+_(frontal|lateral)\.(?:jpg|jpeg|png))$/i
const SEX: Readonly<Record<string, number>> = {
  Male: EHR_CATEGORIES.sex.indexOf('male'),
  Female: EHR_CATEGORIES.sex.indexOf('female'),
  Unknown: MISSING,
  '': MISSING,
}
const LATERAL = EHR_CATEGORIES.view.indexOf('LATERAL')
/** Of frontal images; some lie on their side (LL) or on the other (RL), which the variable does not know. */
const FRONTAL: Readonly<Record<string, number>> = {
  PA: EHR_CATEGORIES.view.indexOf('PA'),
  AP: EHR_CATEGORIES.view.indexOf('AP'),
  LL: EHR_CATEGORIES.view.indexOf('LL'),
  RL: MISSING,
  '': MISSING,
}
const LABELS: Readonly<Record<string, RawLabel>> = { '': 'blank', '1.0': 1, '0.0': 0, '-1.0': -1, '1': 1, '0': 0, '-1': -1 }

/**
 * Rows in order. The tables of the test set tell neither sex nor age: those columns may be missing anywhere but in train.csv.
 * @throws SpecError with file, line and column.
 */
export function parseChexpertTable(text: string, table: string, split: Split, take: (row: ChexpertRow) => void): void {
  const shape =
    split === 'train'
      ? { required: ['Path', ...EHR_COLUMNS, ...CHEXPERT_LABELS] as const }
      : { required: ['Path', ...CHEXPERT_LABELS] as const, optional: EHR_COLUMNS }
  readCsv<Column>(text, table, shape, (csv) => take(rowOf(csv, table, split)))
}

function rowOf(csv: CsvRow<Column>, table: string, split: Split): ChexpertRow {
  const { line } = csv
  const known = <T>(column: Column, words: Readonly<Record<string, T>>, problem: string): T => {
    const value = words[csv.cell(column)]
    if (value === undefined) throw new SpecError(problem, { file: table, line, field: column })
    return value
  }
  const [, file, patient, side] = PATH.exec(csv.cell('Path')) ?? []
  if (!file || !patient || !side) {
    throw new SpecError('the path is not one like train/patient00001/study1/view1_frontal.jpg', {
      file: table,
      line,
      field: 'Path',
    })
  }
  const frontal = known('AP/PA', FRONTAL, 'the projection is none of AP, PA, LL, RL and empty')
  return {
    table,
    line,
    split,
    file,
    patient,
    sex: known('Sex', SEX, 'the sex is none of Male, Female, Unknown and empty'),
    view: side.toLowerCase() === 'lateral' ? LATERAL : frontal,
    age: ageOf(csv.cell('Age'), table, line),
    labels: CHEXPERT_LABELS.map((label) => known(label, LABELS, 'the label is none of 1.0, 0.0, -1.0 and empty')),
  }
}

/** Patients are adults: 0 stands for an age that is not known. */
function ageOf(cell: string, file: string, line: number): number {
  if (cell === '') return Number.NaN
  if (!/^\d{1,3}(\.0)?$/.test(cell)) throw new SpecError('the age is not a whole number', { file, line, field: 'Age' })
  return Number(cell) === 0 ? Number.NaN : Number(cell)
}
