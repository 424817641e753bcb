/** Tables as text: rows with their line numbers and columns by name. */
import { parse } from 'csv-parse/sync'
import { SpecError } from '#libs/training'

export interface CsvRow<C extends string> {
  readonly line: number
  /** '' where the cell is empty or the table lacks an optional column. */
  cell(column: C): string
}

export interface CsvShape<C extends string> {
  /** @throws SpecError where the table lacks one. */
  readonly required: readonly C[]
  readonly optional?: readonly C[]
  /** Other names that editions of the table give a column. */
  readonly renamed?: Readonly<Partial<Record<C, string>>>
}

/**
 * Calls `take` for each row, in order. Columns are found by name, and rows may be longer or shorter than the header: one table
 * splits a column in two by a comma, others end each line in one.
 * @throws SpecError with file and line where the text is not CSV, the table is empty or a column is missing.
 */
export function readCsv<C extends string>(text: string, file: string, shape: CsvShape<C>, take: (row: CsvRow<C>) => void): void {
  let places: Readonly<Record<string, number>> | undefined
  const onRecord = (record: string[], { lines }: { lines: number }) => {
    if (!places) {
      places = columnPlaces(record, file, shape)
      return null
    }
    const at = places
    take({ line: lines, cell: (column) => record[at[column] ?? -1] ?? '' })
    return null
  }
  try {
    parse(text, { bom: true, relax_column_count: true, skip_empty_lines: true, trim: true, on_record: onRecord as never })
  } catch (error) {
    if (error instanceof SpecError) throw error
    const line = (error as { lines?: number }).lines
    // The parser's own error repeats cells of the table: it is left out.
    throw new SpecError('the table is not valid CSV', line === undefined ? { file } : { file, line })
  }
  if (!places) throw new SpecError('the table is empty', { file })
}

function columnPlaces<C extends string>(
  header: readonly string[],
  file: string,
  { required, optional = [], renamed }: CsvShape<C>,
): Readonly<Record<string, number>> {
  const placeOf = (column: C) => header.findIndex((name) => name === column || name === renamed?.[column])
  const places: [C, number][] = [...required, ...optional].map((column) => [column, placeOf(column)])
  const missing = places.find(([column, place]) => place === -1 && required.includes(column))
  if (missing) throw new SpecError('the table lacks a column', { file, line: 1, field: missing[0] })
  return Object.fromEntries(places)
}
