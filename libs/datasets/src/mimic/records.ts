/** Image records of MIMIC-CXR from the derived tables, and counts of what is left out. */
import type { DuckDBDataChunk, DuckDBValue } from '@duckdb/node-api'
import { SPLITS } from '#libs/experiments'
import { SpecError } from '#libs/training'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import { type DatasetInventory, type ImageRecord, MISSING, type ReadOptions } from '../record.ts'
import type { TableDatabase } from '../tables/table-database.ts'
import { AGE_YEARS } from './derive-ehr.ts'
import type { MimicTables } from './tables.ts'

/** `files/p10/p10000032/s50414267/<dicom id>.jpg` */
export function imagePath(dicom: string, subject: string, study: string): string {
  return `files/p${subject.slice(0, 2)}/p${subject}/s${study}/${dicom}.jpg`
}

interface Row {
  readonly line: DuckDBValue
  readonly dicom: string
  readonly subject: string
  readonly study: string
  readonly view: DuckDBValue
  readonly position: DuckDBValue
  readonly sex: DuckDBValue
  readonly age: DuckDBValue
  readonly mortality: DuckDBValue
  readonly icu: DuckDBValue
  readonly split: DuckDBValue
  /** Null where the study has no row of labels. */
  readonly labelled: DuckDBValue
}

/** In order of image id, whatever the tables' order; the columns of `rowAt`, then a code for each label. */
const RECORDS = `SELECT i.line, i.dicom_id, i.subject_id::VARCHAR, i.study_id::VARCHAR, i.view, i.position,
    e.sex, e.age, e.mortality, e.icu, s.split, l.study_id AS labelled, ${CHEXPERT_LABELS.map((_, at) => `l.label${at}`).join(', ')}
  FROM image i
  JOIN ehr e USING (line)
  LEFT JOIN split s USING (dicom_id)
  LEFT JOIN label l ON l.study_id = i.study_id
  ORDER BY i.dicom_id`
const FIRST_LABEL = 12

/** One row of a chunk's columns. Written out: 377,110 rows are a hot loop. */
function rowAt(columns: readonly (readonly DuckDBValue[])[], at: number): Row {
  const value = (column: number): DuckDBValue => columns[column]![at] ?? null
  return {
    line: value(0),
    dicom: value(1) as string,
    subject: value(2) as string,
    study: value(3) as string,
    view: value(4),
    position: value(5),
    sex: value(6),
    age: value(7),
    mortality: value(8),
    icu: value(9),
    split: value(10),
    labelled: value(11),
  }
}

const LEFT_OUT = {
  view: 'images of rare views left out',
  sex: 'images of patients without sex left out',
  split: 'images in no split left out',
  label: 'images without a row of labels left out',
  file: 'images without a file left out',
} as const

export class MimicRecords {
  readonly #tables: MimicTables
  readonly #files: ReadonlySet<string>
  readonly #options: Pick<ReadOptions, 'onBrokenImage'>
  readonly #records: ImageRecord[] = []
  readonly #leftOut: Record<keyof typeof LEFT_OUT, number> = { view: 0, sex: 0, split: 0, label: 0, file: 0 }
  #impossibleAges = 0
  #firstWithoutFile = Number.POSITIVE_INFINITY

  constructor(tables: MimicTables, images: DatasetInventory['images'], options: Pick<ReadOptions, 'onBrokenImage'>) {
    this.#tables = tables
    this.#files = new Set(images.map((image) => image.file))
    this.#options = options
  }

  async take(database: TableDatabase): Promise<void> {
    for await (const chunk of database.chunks(RECORDS)) this.#takeChunk(chunk)
  }

  /** @throws SpecError with the first line of the metadata whose image has no file, where the spec does not skip those. */
  finish(): readonly ImageRecord[] {
    const { file } = this.#leftOut
    if (file > 0 && this.#options.onBrokenImage === 'fail') {
      throw new SpecError(`${file} images have no file, the first on this line`, {
        file: this.#tables.metadata.name,
        line: this.#firstWithoutFile,
      })
    }
    return this.#records
  }

  get notes(): Record<string, number> {
    const leftOut = Object.entries(LEFT_OUT).map(([what, note]) => [note, this.#leftOut[what as keyof typeof LEFT_OUT]] as const)
    return { ...Object.fromEntries(leftOut), 'impossible ages': this.#impossibleAges }
  }

  #takeChunk(chunk: DuckDBDataChunk): void {
    const columns = chunk.getColumns()
    // One buffer a chunk: 377,110 small ones would take more room than the labels.
    const labels = new Uint8Array(chunk.rowCount * CHEXPERT_LABELS.length)
    for (let at = 0; at < chunk.rowCount; at++) {
      const row = rowAt(columns, at)
      const file = imagePath(row.dicom, row.subject, row.study)
      const missing = this.#whyLeftOut(row, file)
      if (missing) {
        this.#leftOut[missing]++
        continue
      }
      const own = labels.subarray(at * CHEXPERT_LABELS.length, (at + 1) * CHEXPERT_LABELS.length)
      for (let label = 0; label < own.length; label++) own[label] = columns[FIRST_LABEL + label]![at] as number
      this.#records.push(this.#recordOf(row, file, own))
    }
  }

  #whyLeftOut(row: Row, file: string): keyof typeof LEFT_OUT | undefined {
    if (row.view === null) return 'view'
    if (row.sex === null && this.#tables.mimicIv) return 'sex'
    if (row.split === null) return 'split'
    if (row.labelled === null) return 'label'
    if (this.#files.has(file)) return undefined
    this.#firstWithoutFile = Math.min(this.#firstWithoutFile, row.line as number)
    return 'file'
  }

  #recordOf(row: Row, file: string, labels: Uint8Array): ImageRecord {
    const code = (value: DuckDBValue) => (value === null ? MISSING : (value as number))
    return {
      id: row.dicom,
      patient: row.subject,
      file,
      split: SPLITS[row.split as number]!,
      sex: code(row.sex),
      view: code(row.view),
      position: code(row.position),
      mortality: code(row.mortality),
      icu: code(row.icu),
      age: this.#ageOf(row.age),
      labels,
    }
  }

  #ageOf(value: DuckDBValue): number {
    if (value === null) return Number.NaN
    const years = Number(value)
    if (years >= AGE_YEARS.youngest && years <= AGE_YEARS.oldest) return years
    this.#impossibleAges++
    return Number.NaN
  }
}
