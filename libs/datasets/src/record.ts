/** What a reader makes of a data set: one record an image, without its pixels. */
import type { PrepareSpec, Split } from '#libs/experiments'

/** Code of a missing categorical value and of an ignored label. */
export const MISSING = 255

export interface ImageRecord {
  /** The data set's own id. It never leaves the reader and the pack's writer. */
  readonly id: string
  /** The data set's own patient id; the same rule. */
  readonly patient: string
  /** Path of the image, relative to the root, with forward slashes. */
  readonly file: string
  readonly split: Split
  /** Codes as in EHR_CATEGORIES; MISSING where unknown. */
  readonly sex: number
  readonly view: number
  readonly position: number
  readonly mortality: number
  readonly icu: number
  /** Years; NaN where missing. */
  readonly age: number
  /** [labelNames.length] 0, 1 or MISSING. */
  readonly labels: Uint8Array
}

export interface DatasetTable {
  readonly labelNames: readonly string[]
  readonly records: readonly ImageRecord[]
  /** Counts of what the reader repaired or left out, for the run's summary. */
  readonly notes: Readonly<Record<string, number>>
}

export type ReadOptions = Pick<PrepareSpec, 'includeNoFinding' | 'uncertain' | 'validationFraction' | 'splitSeed'>

export interface DatasetFiles {
  /** Table and list files, relative to the root, sorted. */
  readonly tables: readonly string[]
  /** Images, relative to the root, sorted, with their sizes. */
  readonly images: readonly { readonly file: string; readonly sizeBytes: number }[]
}

/** Reads one kind of data set. Both functions throw SpecError where the root does not look like that kind. */
export interface DatasetReader {
  files(root: string): Promise<DatasetFiles>
  read(root: string, options: ReadOptions): Promise<DatasetTable>
}
