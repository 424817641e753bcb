/** What must hold in a pack whatever reader made it. */
import { EHR_CATEGORIES, SPLITS } from '#libs/experiments'
import { type PackColumns, SpecError } from '#libs/training'
import { MISSING } from '../record.ts'

const CODED = ['sex', 'view', 'position', 'mortality', 'icu'] as const

/**
 * Checks an index before it is committed: patients never cross splits, the training split has images, every code is known.
 * @throws SpecError with counts; no value of a patient.
 */
export function checkPack({ columns }: { readonly columns: PackColumns }): void {
  const crossing = patientsInTwoSplits(columns)
  if (crossing > 0) throw new SpecError(`${crossing} patients stand in two splits`)
  if (!columns.split.includes(SPLITS.indexOf('train'))) throw new SpecError('the training split has no image')
  const known = (codes: Uint8Array, below: number) => codes.every((code) => code < below || code === MISSING)
  for (const variable of CODED) {
    if (!known(columns[variable], EHR_CATEGORIES[variable].length))
      throw new SpecError('a column has an unknown code', { field: variable })
  }
  if (!known(columns.labels, 2)) throw new SpecError('a column has an unknown code', { field: 'labels' })
}

function patientsInTwoSplits({ patient, split }: PackColumns): number {
  const splitOf = new Map<number, number>()
  const crossing = new Set<number>()
  patient.forEach((code, row) => {
    const known = splitOf.get(code)
    if (known === undefined) splitOf.set(code, split[row]!)
    else if (known !== split[row]) crossing.add(code)
  })
  return crossing.size
}
