import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ALL_COMBINATIONS,
  EHR_VARIABLES,
  type EhrEncoding,
  type EhrRecord,
  EhrValueError,
  ehrColumns,
  ehrSetName,
  ehrWidth,
  encodeEhr,
  GridInvalidError,
  parseEhrSet,
} from './index.ts'

const encoding = (changes: Partial<EhrEncoding>): EhrEncoding => ({
  variables: ['sex'],
  ageEncoding: null,
  impute: 'mode-by-other',
  ...changes,
})
const record = (changes: Partial<EhrRecord> = {}): EhrRecord => ({
  sex: 'female',
  age: 58,
  view: 'PA',
  position: 'Erect',
  mortality: 'alive',
  icu: 'not_icu',
  ...changes,
})

describe('EHR sets', () => {
  it.each([
    ['vanilla', null, 'vanilla'],
    ['sex', ['sex'], 'sex'],
    ['view+age', ['age', 'view'], 'age+view'],
    ['age+sex', ['sex', 'age'], 'demographics'],
    ['scan+sex', ['sex', 'view', 'position'], 'sex+scan'],
    [' demographics + view ', ['sex', 'age', 'view'], 'demographics+view'],
    ['demographics+sex', ['sex', 'age'], 'demographics'],
    ['stay+scan+demographics', [...EHR_VARIABLES], 'all'],
    ['all', [...EHR_VARIABLES], 'all'],
  ])('reads "%s"', (text, variables, name) => {
    expect(parseEhrSet(text)).toEqual(variables)
    expect(ehrSetName(parseEhrSet(text))).toBe(name)
  })

  it.each(['', 'weight', 'sex+', 'Sex', 'vanilla+sex', 'all-combinations'])('refuses "%s"', (text) => {
    expect(() => parseEhrSet(text, '/ehr/0')).toThrow(GridInvalidError)
  })

  it('read back under their canonical name, all 64 of them, each with a name of its own', () => {
    const names = Array.from({ length: 64 }, (_, bits) => {
      const variables = EHR_VARIABLES.filter((_, i) => (bits >> i) & 1)
      const name = ehrSetName(variables)
      expect(parseEhrSet(name) ?? []).toEqual(variables)
      return name
    })
    expect(new Set(names).size).toBe(64)
  })

  it('of all-combinations are the 13 of the paper and vanilla, under their canonical names', () => {
    expect(ALL_COMBINATIONS).toHaveLength(14)
    expect(ALL_COMBINATIONS.map((text) => ehrSetName(parseEhrSet(text)))).toEqual(ALL_COMBINATIONS)
  })
})

describe('EHR vectors', () => {
  it('take the canonical order, whatever order the spec has', () => {
    expect(ehrColumns(encoding({ variables: ['view', 'sex'] }))).toEqual(['male', 'female', 'PA', 'LATERAL', 'AP', 'LL'])
  })

  it.each([
    [0, 0],
    [20, 0],
    [20.5, 1],
    [25, 1],
    [90, 14],
    [91, 15],
    [120, 15],
  ])('put %s years in bin %s of 5-year bins: bins are closed on the right', (age, bin) => {
    const vector = encodeEhr(encoding({ variables: ['age'], ageEncoding: 'bins5' }), record({ age }))
    expect([...vector].indexOf(1)).toBe(bin)
    expect(vector.reduce((sum, x) => sum + x, 0)).toBe(1)
  })

  it('have an unknown column after each variable with impute unknown-column', () => {
    const unknown = encoding({ variables: ['sex', 'age', 'position'], ageEncoding: 'norm', impute: 'unknown-column' })
    expect(ehrColumns(unknown)).toEqual([
      'male',
      'female',
      'sex_unknown',
      'age_norm',
      'age_unknown',
      'Erect',
      'Recumbent',
      'position_unknown',
    ])
    expect([...encodeEhr(unknown, record({ sex: null, age: null, position: null }))]).toEqual([0, 0, 1, 0, 1, 0, 0, 1])
    expect([...encodeEhr(unknown, record({ age: 100 }))]).toEqual([0, 1, 0, 1, 0, 1, 0, 0])
  })

  it.each(EHR_VARIABLES)('are refused where %s is missing and has no unknown column', (variable) => {
    const one = encoding({ variables: [variable], ageEncoding: 'norm' })
    expect(() => encodeEhr(one, record({ [variable]: null }))).toThrow(
      new EhrValueError(variable, 'is missing and the encoding has no unknown column'),
    )
  })

  it('are refused for unknown categories and ages, without telling the value', () => {
    expect(() => encodeEhr(encoding({ variables: ['view'] }), record({ view: 'SWIMMERS' }))).toThrow(EhrValueError)
    expect(() => encodeEhr(encoding({ variables: ['view'] }), record({ view: 'SWIMMERS' }))).not.toThrow(/SWIMMERS/)
    expect(() => encodeEhr(encoding({ variables: ['age'], ageEncoding: 'norm' }), record({ age: Number.NaN }))).toThrow(
      /age is not a number/,
    )
    expect(() => ehrWidth(encoding({ variables: ['age'] }))).toThrow(/needs an age encoding/)
  })

  it('have exactly one 1 for each one-hot variable, whatever the record', () => {
    const any = fc.record({
      sex: fc.constantFrom('male', 'female', null),
      age: fc.option(fc.integer({ min: 0, max: 110 })),
      view: fc.constantFrom('PA', 'AP', 'LL', null),
    })
    fc.assert(
      fc.property(any, (values) => {
        const all = encoding({ variables: ['sex', 'age', 'view'], ageEncoding: 'bins10', impute: 'unknown-column' })
        const vector = encodeEhr(all, record(values))
        return vector.length === 3 + 10 + 5 && vector.reduce((sum, x) => sum + x, 0) === 3
      }),
    )
  })
})
