/** Patients never cross splits, whoever made the split. */
import { createHash } from 'node:crypto'
import type { Split } from '#libs/experiments'
import { SpecError } from '#libs/training'

/** Examples that an error names. */
const EXAMPLES = 3

export interface Crossing {
  readonly patients: number
  /** Beginnings of the SHA-256 of up to three of their ids, sorted. */
  readonly examples: readonly string[]
}

export const shortHash = (patient: string): string => createHash('sha256').update(patient).digest('hex').slice(0, 8)

/** Patients whose images stand in more than one split. */
export function crossingPatients(records: Iterable<{ readonly patient: string; readonly split: Split }>): Crossing {
  const splitOf = new Map<string, Split>()
  const crossing = new Set<string>()
  for (const { patient, split } of records) {
    const known = splitOf.get(patient)
    if (known === undefined) splitOf.set(patient, split)
    else if (known !== split) crossing.add(patient)
  }
  return { patients: crossing.size, examples: [...crossing].slice(0, EXAMPLES).map(shortHash).sort() }
}

/** @throws SpecError that counts the patients in two splits and names up to three by hashes. */
export function refuseCrossing(records: Iterable<{ readonly patient: string; readonly split: Split }>): void {
  const { patients, examples } = crossingPatients(records)
  if (patients === 0) return
  throw new SpecError(`${patients} patients stand in two splits (SHA-256 of the ids begins with ${examples.join(', ')})`)
}
