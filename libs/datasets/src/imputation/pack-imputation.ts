/** The imputers of a pack: one is fitted on its training rows, one on all. The sources use them, and the pack keeps a record. */
import { createHash } from 'node:crypto'
import { type EhrSpec, SPLITS } from '#libs/experiments'
import type { PackColumns } from '#libs/training'
import { ehrRecord } from '../sources/ehr-table.ts'
import { type Fills, fitFills } from './fills.ts'

export interface FittedImputation {
  /** Images that it was fitted on. */
  readonly rows: number
  /** SHA-256 of their sample keys, one a line, in the pack's order. */
  readonly rowsSha256: string
  readonly fills: Fills
}

export type FitOn = EhrSpec['imputeFitOn']

/** Rows of a pack that an imputer sees. */
export function fittedRows({ split }: Pick<PackColumns, 'split'>, fitOn: FitOn): Int32Array {
  const rows = Int32Array.from(split.keys())
  const train = SPLITS.indexOf('train')
  return fitOn === 'all' ? rows : rows.filter((row) => split[row] === train)
}

export function fitPackFills(columns: PackColumns, fitOn: FitOn): Fills {
  return fitFills(Array.from(fittedRows(columns, fitOn), (row) => ehrRecord(columns, row)))
}

export function fitImputation(columns: PackColumns, sampleKey: (row: number) => string, fitOn: FitOn): FittedImputation {
  const rows = fittedRows(columns, fitOn)
  const hash = createHash('sha256')
  for (const row of rows) hash.update(`${sampleKey(row)}\n`)
  return { rows: rows.length, rowsSha256: hash.digest('hex'), fills: fitPackFills(columns, fitOn) }
}
