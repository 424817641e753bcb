/** EHR values of a pack's images and what fills the gaps. */
import { EHR_CATEGORIES, EHR_VARIABLES, type EhrRecord, type EhrSpec, type EhrVariable } from '#libs/experiments'
import type { PackColumns } from '#libs/training'

type Writable = { -readonly [V in keyof EhrRecord]: EhrRecord[V] }

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

type Imputer = (record: EhrRecord) => EhrRecord

/**
 * `mode-by-other`: a gap takes the commonest value (age: the mean) among the fitted records that share all other categorical
 * variables, or among all of them where there is no such record. Ties go to the value that is met first. The others count whether
 * or not the spec uses them: the same gap is filled alike in every EHR set, or sets could not be compared.
 */
export function fitImputer(records: readonly EhrRecord[], variables: EhrSpec['variables']): Imputer {
  const tallies = new Map<string, Tally>()
  const tally = (key: string): Tally => {
    const known = tallies.get(key)
    if (known) return known
    const made = new Tally()
    tallies.set(key, made)
    return made
  }
  for (const record of records) {
    for (const variable of variables) {
      const value = record[variable]
      if (value === null) continue
      tally(variable).add(value)
      tally(groupKey(record, variable)).add(value)
    }
  }
  const fill = (record: EhrRecord, variable: EhrVariable) =>
    (tallies.get(groupKey(record, variable)) ?? tallies.get(variable))?.typical() ?? null
  return (record) => {
    const filled: Writable = { ...record }
    for (const variable of variables) {
      if (record[variable] === null) (filled as Record<EhrVariable, string | number | null>)[variable] = fill(record, variable)
    }
    return filled
  }
}

function groupKey(record: EhrRecord, variable: EhrVariable): string {
  const others = EHR_VARIABLES.filter((one) => one !== variable && one !== 'age')
  return `${variable}|${others.map((one) => record[one] ?? '?').join('|')}`
}

class Tally {
  readonly #counts = new Map<string | number, number>()

  add(value: string | number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1)
  }

  /** Mean of numbers, mode of words. */
  typical(): string | number | null {
    let sum = 0
    let count = 0
    let best: string | null = null
    let most = 0
    for (const [value, times] of this.#counts) {
      if (typeof value === 'number') sum += value * times
      else if (times > most) {
        best = value
        most = times
      }
      count += times
    }
    return best ?? (count > 0 ? sum / count : null)
  }
}
