/** The EHR vector of a chest X-ray: column names, width and encoding (docs/method.md, "EHR variables"). */
import { EhrValueError } from './errors.ts'
import type { EhrSpec } from './spec.ts'
import { type AgeEncoding, EHR_CATEGORIES, EHR_VARIABLES, type EhrVariable } from './vocabulary.ts'

/** The part of an EHR spec that decides the vector. */
export type EhrEncoding = Pick<EhrSpec, 'variables' | 'ageEncoding' | 'impute'>

/** One image's EHR values; null where missing. Categories as in EHR_CATEGORIES, age in years. */
export interface EhrRecord {
  readonly sex: string | null
  readonly age: number | null
  readonly view: string | null
  readonly position: string | null
  readonly mortality: string | null
  readonly icu: string | null
}

/** Upper edges of all age bins but the last, which is open. Bins are right-closed: 20 years lie in the first. */
const AGE_EDGES = {
  bins5: [20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90],
  bins10: [20, 30, 40, 50, 60, 70, 80, 90],
} as const satisfies Record<Exclude<AgeEncoding, 'norm'>, readonly number[]>

const YOUNGEST = 16
const OLDEST = 100

function binNames(edges: readonly number[]): string[] {
  const inner = edges.slice(1).map((edge, i) => `${edges[i]}-${edge}`)
  return [`<${edges[0]}`, ...inner, `${edges.at(-1)}+`]
}

function ageEncodingOf(encoding: EhrEncoding): AgeEncoding {
  if (encoding.ageEncoding === null) throw new EhrValueError('age', 'needs an age encoding')
  return encoding.ageEncoding
}

function columnsOf(variable: EhrVariable, encoding: EhrEncoding): readonly string[] {
  if (variable !== 'age') return EHR_CATEGORIES[variable]
  const age = ageEncodingOf(encoding)
  return age === 'norm' ? ['age_norm'] : binNames(AGE_EDGES[age])
}

/** Variables in canonical order, whatever order the spec lists them in. */
const ordered = (encoding: EhrEncoding) => EHR_VARIABLES.filter((variable) => encoding.variables.includes(variable))

/**
 * Column names of the EHR vector, in order. With `impute: unknown-column` each variable is followed by `<variable>_unknown`.
 * @throws EhrValueError where age has no encoding.
 */
export function ehrColumns(encoding: EhrEncoding): string[] {
  return ordered(encoding).flatMap((variable) => {
    const columns = columnsOf(variable, encoding)
    return encoding.impute === 'unknown-column' ? [...columns, `${variable}_unknown`] : [...columns]
  })
}

/** Number of columns of the EHR vector: the input width of the EHR embedding. */
export function ehrWidth(encoding: EhrEncoding): number {
  return ehrColumns(encoding).length
}

function writeAge(vector: Float32Array, offset: number, years: number, encoding: AgeEncoding): void {
  if (!Number.isFinite(years)) throw new EhrValueError('age', 'is not a number')
  if (encoding === 'norm') {
    vector[offset] = (years - YOUNGEST) / (OLDEST - YOUNGEST)
    return
  }
  const edges: readonly number[] = AGE_EDGES[encoding]
  const bin = edges.findIndex((edge) => years <= edge)
  vector[offset + (bin === -1 ? edges.length : bin)] = 1
}

function writeCategory(vector: Float32Array, offset: number, variable: Exclude<EhrVariable, 'age'>, value: string): void {
  const categories: readonly string[] = EHR_CATEGORIES[variable]
  const index = categories.indexOf(value)
  if (index === -1) throw new EhrValueError(variable, `has a value that is none of ${categories.join(', ')}`)
  vector[offset + index] = 1
}

/**
 * EHR vector of one record, [ehrWidth].
 *
 * A missing value sets the variable's unknown column where `impute` is `unknown-column`; otherwise imputation has to come first.
 * @throws EhrValueError where a value is missing and there is no unknown column, or where it is no known category.
 */
export function encodeEhr(encoding: EhrEncoding, record: EhrRecord): Float32Array {
  const withUnknown = encoding.impute === 'unknown-column'
  const vector = new Float32Array(ehrWidth(encoding))
  let offset = 0
  for (const variable of ordered(encoding)) {
    const width = columnsOf(variable, encoding).length
    const value = record[variable]
    if (value === null || value === undefined) {
      if (!withUnknown) throw new EhrValueError(variable, 'is missing and the encoding has no unknown column')
      vector[offset + width] = 1
    } else if (variable === 'age') writeAge(vector, offset, record.age as number, ageEncodingOf(encoding))
    else writeCategory(vector, offset, variable, value as string)
    offset += width + (withUnknown ? 1 : 0)
  }
  return vector
}
