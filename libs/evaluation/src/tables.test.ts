import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { buildTable, renderTable, scoreText, type TableInput } from './index.ts'

const result = (changes: Partial<TableInput> = {}): TableInput => ({
  method: 'msn',
  backbone: 'vit-tiny',
  ehr: 'sex',
  ageEncoding: null,
  seed: 24,
  pretrainDataset: 'mimic',
  dataset: 'nih',
  mode: 'linear',
  trainedOn: null,
  labels: 'findings',
  labelFraction: 1,
  label: 'macro',
  metric: 'auroc',
  value: 0.6841,
  low: 0.669,
  high: 0.7012,
  ...changes,
})

const grid = [
  result({ ehr: 'vanilla', value: 0.66, low: 0.64, high: 0.68 }),
  result({ ehr: 'vanilla', metric: 'auprc', value: 0.2, low: null, high: null }),
  result(),
  result({ metric: 'auprc', value: 0.21, low: 0.2, high: 0.22 }),
  result({ label: 'Hernia', value: 0.9 }),
]

describe('buildTable', () => {
  it('keeps transfers of differently trained classifiers apart', () => {
    const transfer = { dataset: 'chexpert', mode: 'transfer' }
    const rows = ['finetune on mimic', 'linear on mimic'].map((trainedOn) => result({ ...transfer, trainedOn }))
    expect(buildTable(rows).columns.map((column) => column.title)).toEqual([
      'chexpert transfer (finetune on mimic) findings AUROC',
      'chexpert transfer (linear on mimic) findings AUROC',
    ])
  })

  it('makes a row of each model and a column of each test, in order of appearance', () => {
    const model = buildTable(grid)
    expect(model.rowKeys).toEqual(['method', 'ehr'])
    expect(model.columns.map((column) => column.title)).toEqual(['nih linear findings AUROC', 'nih linear findings AUPRC'])
    expect(model.rows.map((row) => row.keys)).toEqual([
      ['msn', 'vanilla'],
      ['msn', 'sex'],
    ])
    expect(model.rows[1]!.cells[0]).toEqual({ value: 0.6841, low: 0.669, high: 0.7012, std: null, seeds: 1 })
  })

  it('shows backbone, seed, age encoding and pretraining data set only where they vary', () => {
    const varied = [
      result(),
      result({ backbone: 'vit-small' }),
      result({ seed: 25 }),
      result({ ageEncoding: 'bins5' }),
      result({ pretrainDataset: 'nih' }),
    ]
    expect(buildTable(varied).rowKeys).toEqual(['method', 'ehr', 'backbone', 'ageEncoding', 'pretrainDataset', 'seed'])
    expect(buildTable(varied).rows).toHaveLength(5)
  })

  it('shows labels on demand, macro among them', () => {
    const model = buildTable(grid, { detail: 'per-label' })
    expect(model.rowKeys).toEqual(['method', 'ehr', 'label'])
    expect(model.rows.map((row) => row.keys[2])).toEqual(['macro', 'macro', 'Hernia'])
  })

  it('leaves a cell empty where a model was not tested', () => {
    const model = buildTable([result(), result({ ehr: 'age', mode: 'finetune' })])
    expect(model.rows.map((row) => row.cells.map((cell) => cell !== null))).toEqual([
      [true, false],
      [false, true],
    ])
  })

  it('names the label fraction where it is not all', () => {
    expect(buildTable([result({ labelFraction: 0.07 })]).columns[0]!.title).toBe('nih linear findings 7 % AUROC')
  })

  it('takes mean and deviation over seeds instead of intervals', () => {
    const model = buildTable([result({ value: 0.6 }), result({ seed: 25, value: 0.7 }), result({ ehr: 'age' })], {
      seeds: 'mean',
    })
    expect(model.rowKeys).toEqual(['method', 'ehr'])
    expect(model.rows[0]!.cells[0]).toMatchObject({ low: null, high: null, seeds: 2 })
    expect(model.rows[0]!.cells[0]!.std).toBeCloseTo(0.0707107, 6)
    // One seed has no deviation, and keeps its interval.
    expect(model.rows[1]!.cells[0]).toMatchObject({ value: 0.6841, low: 0.669, std: null, seeds: 1 })
    expect(renderTable(model, 'markdown')).toContain('.650 +- .071 (2 seeds)')
  })

  it('refuses two results for one cell', () => {
    expect(() => buildTable([result(), result({ value: 0.5 })])).toThrow(
      /two results for msn sex under "nih linear findings AUROC"/,
    )
    expect(() => buildTable([result(), result({ value: 0.5 })], { seeds: 'mean' })).toThrow(/two results/)
  })

  it('makes an empty table of no results', () => {
    expect(renderTable(buildTable([]), 'table')).toBe('Method  EHR\n------  ---\n')
    expect(renderTable(buildTable([]), 'json')).toBe('[]\n')
  })
})

describe('renderTable', () => {
  const model = buildTable(grid)

  it('aligns a table for terminals', () => {
    expect(renderTable(model, 'table')).toBe(
      [
        'Method  EHR      nih linear findings AUROC  nih linear findings AUPRC',
        '------  -------  -------------------------  -------------------------',
        'msn     vanilla  .660 (.640-.680)           .200',
        'msn     sex      .684 (.669-.701)           .210 (.200-.220)',
        '',
      ].join('\n'),
    )
  })

  it('gives csv readers the numbers in full and the very names, whatever is in them', () => {
    const awkward = buildTable([result({ dataset: 'a,"b"', ehr: 'x,y' })])
    const [header, row] = parse(renderTable(awkward, 'csv')) as string[][]
    expect(header).toEqual([
      'method',
      'ehr',
      ...['', ' low', ' high', ' std', ' seeds'].map((part) => `a,"b" linear findings AUROC${part}`),
    ])
    expect(row).toEqual(['msn', 'x,y', '0.6841', '0.669', '0.7012', '', '1'])
    const empty = parse(renderTable(buildTable([result(), result({ ehr: 'age', mode: 'finetune' })]), 'csv')) as string[][]
    expect(empty[1]!.slice(7)).toEqual(['', '', '', '', ''])
  })

  it('gives programs one object a row', () => {
    expect(JSON.parse(renderTable(model, 'json'))[1]).toEqual({
      method: 'msn',
      ehr: 'sex',
      results: [
        {
          dataset: 'nih',
          mode: 'linear',
          trainedOn: null,
          labels: 'findings',
          labelFraction: 1,
          metric: 'auroc',
          value: 0.6841,
          low: 0.669,
          high: 0.7012,
          std: null,
          seeds: 1,
        },
        {
          dataset: 'nih',
          mode: 'linear',
          trainedOn: null,
          labels: 'findings',
          labelFraction: 1,
          metric: 'auprc',
          value: 0.21,
          low: 0.2,
          high: 0.22,
          std: null,
          seeds: 1,
        },
      ],
    })
  })

  it('escapes what LaTeX reads as its own', () => {
    const awkward = [
      result({ dataset: 'a_b', labelFraction: 0.05, ehr: '50% & #1 {x}^~\\$' }),
      result({ dataset: 'a_b', labelFraction: 0.05, seed: 1, ehr: 'age' }),
    ]
    const text = renderTable(buildTable([...awkward, { ...awkward[1]!, seed: 2, value: 0.7 }], { seeds: 'mean' }), 'latex')
    expect(text).toContain('a\\_b linear findings 5 \\% AUROC')
    expect(text).toContain('50\\% \\& \\#1 \\{x\\}\\textasciicircum{}\\textasciitilde{}\\textbackslash{}\\$')
    expect(text).toContain('.692 $\\pm$ .011 (2 seeds) \\\\')
    expect(text.startsWith('\\begin{tabular}{llc}\n\\toprule\n')).toBe(true)
  })

  it('escapes bars in markdown', () => {
    expect(renderTable(buildTable([result({ ehr: 'a|b' })]), 'markdown')).toBe(
      '| Method | EHR | nih linear findings AUROC |\n| --- | --- | :---: |\n| msn | a\\|b | .684 (.669-.701) |\n',
    )
  })
})

describe('scoreText', () => {
  it('drops the leading zero alone', () => {
    expect([0.68449, 1, 0, -0.0123, 10.5].map(scoreText)).toEqual(['.684', '1.000', '.000', '-.012', '10.500'])
  })
})
