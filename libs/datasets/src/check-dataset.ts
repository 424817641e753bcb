/** What a registered data set holds, counted before any work: `datasets check`. */
import { EHR_CATEGORIES, EHR_VARIABLES, type EhrVariable, SPLITS, type Split } from '#libs/experiments'
import { SpecError } from '#libs/training'
import { fingerprintOf } from './fingerprint.ts'
import { readTable } from './read-dataset.ts'
import { readerOf } from './readers.ts'
import { type DatasetTable, type ImageRecord, MISSING, type ReadOptions } from './record.ts'
import { type DatasetAccess, type DatasetAddress, withSource } from './source.ts'

export interface SplitCounts {
  readonly split: Split
  readonly images: number
  readonly patients: number
  /** Images by view; `missing` where it is not known. */
  readonly views: Readonly<Record<string, number>>
  /** Positive images by label. */
  readonly positives: Readonly<Record<string, number>>
}

export interface DatasetCheck {
  /** What keeps the data set from being prepared; nothing else is counted then. */
  readonly problem: string | null
  /** Files differ from those that were registered. */
  readonly changed: boolean
  readonly images: number
  readonly patients: number
  readonly splits: readonly SplitCounts[]
  /** Images of which each variable is known. */
  readonly ehr: Readonly<Record<EhrVariable, number>>
  /** What the reader left out or repaired, in images. */
  readonly notes: Readonly<Record<string, number>>
  /** Empty splits, and labels without a positive or a negative image in a split. */
  readonly warnings: readonly string[]
}

/** Missing files are counted, not refused; labels are counted as `uncertain: zeros` makes them. */
const READ_OPTIONS: ReadOptions = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'skip',
  validationFraction: 0.1,
  splitSeed: 24,
}

const NOTHING = { images: 0, patients: 0, splits: [], notes: {}, warnings: [] }

/** Reads tables and asks for the size of each image; no image is opened. */
export async function checkDataset(
  address: DatasetAddress & { readonly fingerprint: string },
  access: DatasetAccess = {},
): Promise<DatasetCheck> {
  const reader = readerOf(address.kind)
  try {
    return await withSource(address, access, async (source) => {
      const inventory = await reader.inventory(source)
      const fingerprint = await fingerprintOf(address.kind, source.options, inventory)
      const table = await readTable(reader, source, inventory, READ_OPTIONS)
      return { problem: null, changed: fingerprint !== address.fingerprint, ...countTable(table) }
    })
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return { ...NOTHING, problem: error.message, changed: false, ehr: coverage([]) }
  }
}

export function countTable(table: DatasetTable): Omit<DatasetCheck, 'problem' | 'changed'> {
  const { records, notes } = table
  const splits = SPLITS.map((split) => countSplit(table, split))
  return {
    images: records.length,
    patients: new Set(records.map((record) => record.patient)).size,
    splits,
    ehr: coverage(records),
    notes,
    warnings: splits.flatMap(warningsOf),
  }
}

function countSplit({ records, labelNames }: DatasetTable, split: Split): SplitCounts {
  const own = records.filter((record) => record.split === split)
  const viewNames = [...EHR_CATEGORIES.view, 'missing'] as const
  const viewOf = ({ view }: ImageRecord) => (view === MISSING ? 'missing' : EHR_CATEGORIES.view[view])
  const views = Object.fromEntries(viewNames.map((name) => [name, 0]))
  for (const record of own) views[viewOf(record) ?? 'missing']! += 1
  const positives = new Uint32Array(labelNames.length)
  for (const { labels } of own) for (let at = 0; at < labels.length; at++) if (labels[at] === 1) positives[at]! += 1
  return {
    split,
    images: own.length,
    patients: new Set(own.map((record) => record.patient)).size,
    views,
    positives: Object.fromEntries(labelNames.map((label, at) => [label, positives[at]!])),
  }
}

function coverage(records: readonly ImageRecord[]): Record<EhrVariable, number> {
  const known = (variable: EhrVariable) => (record: ImageRecord) =>
    variable === 'age' ? !Number.isNaN(record.age) : record[variable] !== MISSING
  return Object.fromEntries(EHR_VARIABLES.map((variable) => [variable, records.filter(known(variable)).length])) as Record<
    EhrVariable,
    number
  >
}

function warningsOf({ split, images, positives }: SplitCounts): string[] {
  if (images === 0) return [`the ${split} split has no image`]
  const without = Object.entries(positives).flatMap(([label, count]) => (count === 0 ? [label] : []))
  return without.length > 0 ? [`no positive image among the ${images} of the ${split} split: ${without.join(', ')}`] : []
}
