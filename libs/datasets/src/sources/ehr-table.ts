/** EHR values of a pack's images. */
import { EHR_CATEGORIES, type EhrRecord, type EhrVariable } from '#libs/experiments'
import type { PackColumns } from '#libs/training'

/** Values of one image; null where missing. */
export function ehrRecord(columns: PackColumns, index: number): EhrRecord {
  const word = (variable: Exclude<EhrVariable, 'age'>) => EHR_CATEGORIES[variable][columns[variable][index]!] ?? null
  const age = columns.age[index]!
  return {
    sex: word('sex'),
    age: Number.isNaN(age) ? null : age,
    view: word('view'),
    position: word('position'),
    mortality: word('mortality'),
    icu: word('icu'),
  }
}

/** Whether a record has every variable of the spec. */
export const isComplete = (record: EhrRecord, variables: readonly EhrVariable[]): boolean =>
  variables.every((variable) => record[variable] !== null)
