/** What a registration says about a data set beside its kind and root. Part of its fingerprint: other options are other contents. */
import { z } from 'zod'
import type { DatasetKind } from './vocabulary.ts'

/**
 * Who says which split an image is in. `official`: the data set's own lists. `file`: a table of the user's (`split`).
 * `icu`: ICU patients are shared out to validation and test, everybody else trains, as the paper's authors do for MIMIC-CXR.
 */
export const SPLIT_RULES = ['official', 'icu', 'file'] as const
export type SplitRule = (typeof SPLIT_RULES)[number]

const address = z.string().min(1).max(4096)

export const datasetOptionsSchema = z.strictObject({
  /** Folder or s3:// address of MIMIC-IV, for the EHR variables of MIMIC-CXR; null: they are missing. */
  mimicIv: address.nullable().default(null),
  /** File or s3:// address of a split table: dicom_id, study_id, subject_id, split. */
  split: address.nullable().default(null),
  splitRule: z.enum(SPLIT_RULES).default('official'),
})
export type DatasetOptions = z.infer<typeof datasetOptionsSchema>

export const NO_DATASET_OPTIONS: DatasetOptions = { mimicIv: null, split: null, splitRule: 'official' }

/** A place in an object store; other addresses are folders. */
export const isObjectAddress = (address: string): boolean => address.startsWith('s3://')

/**
 * The addresses of a list: folders and s3:// addresses, separated as the system separates folders. The colon of `s3://` separates
 * nothing.
 */
export function splitAddresses(text: string, delimiter: string): string[] {
  const parts = delimiter === ':' ? text.split(/:(?!\/\/)/) : text.split(delimiter)
  return parts.filter((part) => part !== '')
}

/**
 * Whether an s3:// address is `base` or lies below it. An address that means another place than it spells (`..` also in its encoded
 * forms, a user before the bucket, a query) lies nowhere.
 */
export function isBelowObject(base: string, address: string): boolean {
  const [folder, place] = [placeOf(base), placeOf(address)]
  return folder !== undefined && place !== undefined && (place === folder || place.startsWith(`${folder}/`))
}

/** The address without its last slashes, where a URL parser reads in it just what it spells. */
function placeOf(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined
  const { protocol, host, username, password, search, hash, href } = new URL(address)
  const isPlain = protocol === 's3:' && host !== '' && username + password + search + hash === ''
  return isPlain && href === address ? address.replace(/\/+$/, '') : undefined
}

export interface DatasetOptionProblem {
  readonly field: keyof DatasetOptions
  readonly message: string
}

/** Options that contradict each other or the kind. */
export function datasetOptionProblems(kind: DatasetKind, options: DatasetOptions): DatasetOptionProblem[] {
  const { mimicIv, split, splitRule } = options
  if (kind !== 'mimic-cxr') {
    const given = [mimicIv !== null && 'mimicIv', split !== null && 'split', splitRule !== 'official' && 'splitRule'] as const
    return given.flatMap((field) => (field ? [{ field, message: `a data set of kind ${kind} has no such option` }] : []))
  }
  const problems: DatasetOptionProblem[] = []
  if (splitRule === 'file' && split === null) problems.push({ field: 'split', message: 'split rule "file" needs a split table' })
  if (splitRule !== 'file' && split !== null) {
    problems.push({ field: 'splitRule', message: `split rule "${splitRule}" reads no split table` })
  }
  if (splitRule === 'icu' && mimicIv === null) {
    problems.push({ field: 'mimicIv', message: 'split rule "icu" needs MIMIC-IV, whose icustays table names the ICU patients' })
  }
  return problems
}
