/** The table `Data_Entry_2017.csv`: one row an image. */
import { EHR_CATEGORIES } from '#libs/experiments'
import { SpecError } from '#libs/training'
import { type CsvRow, readCsv } from '../csv/csv-table.ts'
import { MISSING } from '../record.ts'
import { NIH14_LABELS, NO_FINDING } from './labels.ts'

export interface Nih14Row {
  readonly id: string
  readonly patient: string
  readonly sex: number
  /** Years; NaN where the table has an impossible one. */
  readonly age: number
  readonly view: number
  readonly labels: Uint8Array
  readonly noFinding: boolean
  readonly line: number
}

const COLUMNS = ['Image Index', 'Finding Labels', 'Patient ID', 'Patient Age', 'Patient Gender', 'View Position'] as const
type Column = (typeof COLUMNS)[number]
/** The table of 2020 renamed one column. */
const RENAMED: Readonly<Partial<Record<Column, string>>> = { 'Patient Gender': 'Patient Sex' }

/** Ages above this are known errors of the data set (some rows say 400 years): missing. */
const OLDEST_YEARS = 120
/** `58`, or as in the first edition `058Y` (also months and days). */
const AGE = /^(\d{1,3})([YMD]?)$/
const YEARS_PER_UNIT: Readonly<Record<string, number>> = { '': 1, Y: 1, M: 1 / 12, D: 1 / 365.25 }

const SEX_CODES: Readonly<Record<string, number>> = {
  M: EHR_CATEGORIES.sex.indexOf('male'),
  F: EHR_CATEGORIES.sex.indexOf('female'),
}
const VIEW_CODES: Readonly<Record<string, number>> = {
  PA: EHR_CATEGORIES.view.indexOf('PA'),
  AP: EHR_CATEGORIES.view.indexOf('AP'),
}

/**
 * Rows by image.
 * @throws SpecError with file, line and column.
 */
export function parseNih14Table(text: string, file: string): Map<string, Nih14Row> {
  const rows = new Map<string, Nih14Row>()
  readCsv(text, file, { required: COLUMNS, renamed: RENAMED }, (csv) => {
    const row = rowOf(csv, file)
    const earlier = rows.get(row.id)
    if (earlier) {
      throw new SpecError(`the image is listed already on line ${earlier.line}`, { file, line: row.line, field: 'Image Index' })
    }
    rows.set(row.id, row)
  })
  return rows
}

function rowOf(csv: CsvRow<Column>, file: string): Nih14Row {
  const { line } = csv
  const wrong = (field: Column, problem: string): never => {
    throw new SpecError(problem, { file, line, field })
  }
  const cell = (column: Column): string => csv.cell(column) || wrong(column, 'the cell is empty')
  const view = VIEW_CODES[cell('View Position')] ?? wrong('View Position', 'the view is neither PA nor AP')
  const sex = SEX_CODES[cell('Patient Gender')] ?? wrong('Patient Gender', 'the gender is neither M nor F')
  const words = cell('Finding Labels').split('|')
  const id = cell('Image Index')
  if (/[/\\]/.test(id)) wrong('Image Index', 'an image name holds no path')
  return {
    id,
    patient: cell('Patient ID'),
    sex,
    age: ageOf(cell('Patient Age')) ?? wrong('Patient Age', 'the age is not one like 58 or 058Y'),
    view,
    labels: labelsOf(words, (problem) => wrong('Finding Labels', problem)),
    noFinding: words.includes(NO_FINDING),
    line,
  }
}

function ageOf(text: string): number | undefined {
  const match = AGE.exec(text)
  if (!match) return undefined
  const years = Number(match[1]) * (YEARS_PER_UNIT[match[2] ?? ''] ?? 1)
  return years > OLDEST_YEARS ? Number.NaN : years
}

function labelsOf(words: readonly string[], wrong: (problem: string) => never): Uint8Array {
  const labels = new Uint8Array(NIH14_LABELS.length)
  if (words.includes(NO_FINDING)) return words.length === 1 ? labels : wrong(`"${NO_FINDING}" stands beside a finding`)
  for (const word of words) {
    const index = (NIH14_LABELS as readonly string[]).indexOf(word)
    if (index === -1) wrong('a finding is none of the fourteen')
    labels[index] = 1
  }
  return labels
}

/** NIH ChestX-ray14 tells neither position nor stay. */
export const NIH14_UNKNOWN = { position: MISSING, mortality: MISSING, icu: MISSING } as const
