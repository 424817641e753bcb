/** What fills gaps of EHR variables under `mode-by-other`, as plain data: a pack records it. */
import { EHR_VARIABLES, type EhrRecord, type EhrVariable } from '#libs/experiments'

type Value = string | number

export interface VariableFills {
  /** Commonest value (age: the mean) of all fitted records; null where none tells it. */
  readonly any: Value | null
  /** The same among those that share the other categorical variables, by `othersKey`. */
  readonly byOthers: Readonly<Record<string, Value>>
}
export type Fills = Readonly<Record<EhrVariable, VariableFills>>

/**
 * Fits fills for every variable. Ties go to the value that is met first. The others count whether or not an EHR set uses them: the
 * same gap is filled alike in every set, or sets could not be compared.
 */
export function fitFills(records: readonly EhrRecord[]): Fills {
  const fills = EHR_VARIABLES.map((variable) => {
    const all = new Tally()
    const groups = new Map<string, Tally>()
    for (const record of records) {
      const value = record[variable]
      if (value === null) continue
      all.add(value)
      const key = othersKey(record, variable)
      const group = groups.get(key) ?? new Tally()
      group.add(value)
      groups.set(key, group)
    }
    const byOthers = Object.fromEntries([...groups].map(([key, group]) => [key, group.typical()!]))
    return [variable, { any: all.typical(), byOthers }] as const
  })
  return Object.fromEntries(fills) as Record<EhrVariable, VariableFills>
}

/** The record with gaps of `variables` filled; one stays null where no fitted record tells the variable. */
export function filled(record: EhrRecord, variables: readonly EhrVariable[], fills: Fills): EhrRecord {
  const gaps = variables.filter((variable) => record[variable] === null)
  if (gaps.length === 0) return record
  const values = gaps.map((gap) => [gap, fills[gap].byOthers[othersKey(record, gap)] ?? fills[gap].any])
  return { ...record, ...Object.fromEntries(values) }
}

/** Values of the other categorical variables, in canonical order, `?` for a missing one. */
function othersKey(record: EhrRecord, variable: EhrVariable): string {
  let key = ''
  for (const other of EHR_VARIABLES) if (other !== variable && other !== 'age') key += `|${record[other] ?? '?'}`
  return key.slice(1)
}

class Tally {
  readonly #counts = new Map<Value, number>()

  add(value: Value): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1)
  }

  /** Mean of numbers, mode of words. */
  typical(): Value | null {
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
