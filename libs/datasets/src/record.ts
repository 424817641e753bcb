/** What a reader makes of a data set: one record an image, without its pixels. */
import type { PrepareSpec, Split } from '#libs/experiments'
import type { DatasetFiles } from './files/dataset-files.ts'
import type { DatasetSource } from './source.ts'

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
  /** Sorted by id. */
  readonly records: readonly ImageRecord[]
  /** Counts of what the reader repaired or left out, for the run's summary. */
  readonly notes: Readonly<Record<string, number>>
}

export type ReadOptions = Pick<
  PrepareSpec,
  'includeNoFinding' | 'dropAllZero' | 'uncertain' | 'validationFraction' | 'splitSeed' | 'onBrokenImage'
>

export interface InventoryTable {
  /** Name in the fingerprint: the path relative to its folder, after `mimic-iv/` for a table of MIMIC-IV and `split/` for the user's. */
  readonly name: string
  readonly files: DatasetFiles
  readonly file: string
}

export interface DatasetInventory {
  /** Table and list files that the reader reads, sorted by name. */
  readonly tables: readonly InventoryTable[]
  /** Images that lie there, relative to the root, sorted, with their sizes. */
  readonly images: readonly { readonly file: string; readonly sizeBytes: number }[]
}

/** Reads one kind of data set. */
export interface DatasetReader {
  /** Finds the files, before any work. @throws SpecError that names a missing table or folder, or says that no image lies there. */
  inventory(source: DatasetSource): Promise<DatasetInventory>
  /** @throws SpecError with file, line and column for a value that cannot be meant, and where no image is left. */
  read(source: DatasetSource, inventory: DatasetInventory, options: ReadOptions): Promise<DatasetTable>
}
