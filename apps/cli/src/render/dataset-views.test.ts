import { expect, it } from 'vitest'
import type { DatasetCheck } from '../client/wire.ts'
import { renderCheck, renderDatasets } from './dataset-views.ts'

const CHECK: DatasetCheck = {
  problem: null,
  changed: false,
  images: 30,
  patients: 12,
  splits: [
    { split: 'train', images: 20, patients: 8, views: { PA: 15, missing: 5 }, positives: { Edema: 7, Hernia: 1 } },
    { split: 'test', images: 10, patients: 4, views: { PA: 10, missing: 0 }, positives: { Edema: 3, Hernia: 0 } },
  ],
  ehr: { sex: 30, mortality: 27 },
  notes: { 'images without a file left out': 2 },
  warnings: ['no positive image among the 10 of the test split: Hernia'],
}

it('shows a check as tables of splits, EHR coverage and what is left out, warnings first', () => {
  expect(renderCheck('mimic', CHECK)).toBe(
    [
      'warning: no positive image among the 10 of the test split: Hernia',
      'data set mimic: 30 images of 12 patients, none in two splits',
      '',
      '              train  test',
      'images           20    10',
      'patients          8     4',
      'view PA          15    10',
      'view missing      5     0',
      'Edema             7     3',
      'Hernia            1     0',
      '',
      'ehr variable  known  share',
      'sex              30  100%',
      'mortality        27  90%',
      '',
      'left out or repaired            images',
      'images without a file left out       2',
    ].join('\n'),
  )
})

it('says what keeps a data set from being prepared, and that files changed', () => {
  expect(renderCheck('mimic', { ...CHECK, problem: 'a table is missing' })).toBe(
    'data set mimic cannot be prepared: a table is missing',
  )
  expect(renderCheck('mimic', { ...CHECK, changed: true })).toMatch(/^warning: its files are no longer those/)
})

it('lists what a registration said', () => {
  const one = { name: 'mimic', kind: 'mimic-cxr', fingerprint: 'f'.repeat(64), splitRule: 'icu', mimicIv: true, createdAt: 'now' }
  expect(renderDatasets([one])).toContain('mimic-cxr with MIMIC-IV  icu    ffffffffffff')
  expect(renderDatasets([])).toContain('no data sets yet')
})
