/** The EHR encoder against an independent implementation: 40 patients, 23 sets. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type EhrEncoding, type EhrRecord, ehrColumns, ehrWidth, encodeEhr } from '#libs/experiments'

interface EhrGolden {
  readonly patients: readonly EhrRecord[]
  readonly sets: readonly {
    readonly name: string
    readonly variables: EhrEncoding['variables']
    readonly ageEncoding: EhrEncoding['ageEncoding']
    readonly width: number
    readonly columns: readonly string[]
    readonly vectors: readonly (readonly number[])[]
  }[]
}

const golden: EhrGolden = JSON.parse(readFileSync(new URL('./data/ehr.json', import.meta.url), 'utf8'))

describe('EHR vectors', () => {
  it('cover the 23 sets of the paper and 40 patients', () => {
    expect(golden.sets).toHaveLength(23)
    expect(golden.patients).toHaveLength(40)
  })

  it.each(golden.sets)('$name has the columns, the width and the vectors of the reference', (set) => {
    const encoding: EhrEncoding = { variables: set.variables, ageEncoding: set.ageEncoding, impute: 'mode-by-other' }
    expect(ehrWidth(encoding)).toBe(set.width)
    expect(ehrColumns(encoding)).toEqual(set.columns)
    golden.patients.forEach((patient, i) => {
      const vector = encodeEhr(encoding, patient)
      expect(vector).toHaveLength(set.width)
      set.vectors[i]!.forEach((expected, column) => {
        const isNorm = set.columns[column] === 'age_norm'
        if (isNorm) expect(Math.abs(vector[column]! - expected)).toBeLessThan(1e-7)
        else expect(vector[column]).toBe(expected)
      })
    })
  })
})
