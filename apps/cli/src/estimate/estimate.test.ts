import { fileURLToPath } from 'node:url'
import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import { readGridFile } from '../grid-file/read-grid-file.ts'
import { renderEstimate, short } from '../render/estimate-view.ts'
import { cli } from '../testing/run-cli.ts'
import { estimateGrid, type RegisteredDataset } from './estimate-grid.ts'
import { datasetImages, positiveNumber } from './options.ts'

const file = (name: string) => fileURLToPath(new URL(`../../../../experiments/${name}`, import.meta.url))
const DATASETS: readonly RegisteredDataset[] = [
  { name: 'mimic', kind: 'mimic-cxr', fingerprint: 'a'.repeat(64) },
  { name: 'nih', kind: 'nih14', fingerprint: 'b'.repeat(64) },
  { name: 'chexpert', kind: 'chexpert', fingerprint: 'c'.repeat(64) },
  { name: 'phantom', kind: 'nih14', fingerprint: 'd'.repeat(64) },
]
const options = { teraflops: 9, price: 2, sizes: new Map() }

describe('experiments/paper.yaml', () => {
  it('costs what a hand count gives', async () => {
    const { value } = await readGridFile(file('paper.yaml'))
    const estimate = estimateGrid(value, DATASETS, options)
    const { byKind, total } = estimate
    // 2 backbones x (23 EHR sets + vanilla + DINO + MAE), and two random backbones.
    const pretrainings = 2 * (23 + 1 + 2) + 2
    // Two data sets x two modes x five fractions, and two transfers.
    const evaluations = 2 * 2 * 5 + 2
    expect([byKind.prepare.runs, byKind.pretrain.runs, byKind.evaluate.runs]).toEqual([3, 54, pretrainings * evaluations])
    // All packs and pretrainings, and of each pretraining the two classifiers that are transferred as well.
    expect(total.shared).toBe(3 + 54 + 2 * 54)
    // 368,960 training images are 5,765 whole batches of 64.
    expect(byKind.pretrain.images).toBe(52 * 100 * 5765 * 64)
    const fractions = 1 + 0.25 + 0.1 + 0.05 + 0.01
    const nih = { train: 36_024 - 3_602, validation: 3_602, test: 15_735 }
    const mimic = { train: 368_960, validation: 2_991, test: 5_159 }
    const images = [mimic, nih].reduce((sum, { train, validation, test }) => {
      const linear = 50 * fractions * train + 5 * (validation + test)
      return sum + linear + 50 * fractions * train + 5 * (50 * validation + test)
    }, 2 * 612)
    // Each fraction of the training images is rounded to whole images, fifty epochs each.
    expect(Math.abs(byKind.evaluate.images - 54 * images)).toBeLessThan(54 * 2 * 2 * 5 * 50)
    expect(byKind.prepare.images).toBe(377_110 + 51_759 + 224_260)
    expect(estimate.deviceHours).toBeCloseTo(total.flops / 9e12 / 3600, 6)
    expect(estimate.cost).toBeCloseTo(2 * estimate.deviceHours, 6)
    const text = renderEstimate(estimate, options)
    expect(text).toMatch(/pretrain +54 +54 +1\.92 G/)
    expect(text).toContain('chexpert 223414/234/612 (as published)')
  })
})

describe('experiments/smoke.yaml', () => {
  it('has every method and every way to train a classifier', async () => {
    const { value } = await readGridFile(file('smoke.yaml'))
    const sizes = datasetImages('phantom=100/20/40')
    const { byKind, cost } = estimateGrid(value, DATASETS, { ...options, price: null, sizes })
    // MSN with and without EHR, DINO, MAE, random initialisation; three modes with two fractions each.
    expect([byKind.pretrain.runs, byKind.evaluate.runs]).toEqual([5, 5 * 6])
    expect(byKind.pretrain.images).toBe(4 * 96)
    expect(cost).toBeNull()
  })
})

describe('cxrlab submit --dry-run', () => {
  it('tells what the grid would cost', async () => {
    const counts = { new: 1, reused: 0, joined: 0, retried: 0 }
    const body = { gridId: 'f'.repeat(64), created: false, dryRun: true, points: 30, byKind: { evaluate: counts }, warnings: [] }
    const answers = { 'POST /v1/grids?dryRun=true': { body }, 'GET /v1/datasets': { body: { items: DATASETS } } }
    const args = ['submit', file('smoke.yaml'), '--dry-run', '--images', 'phantom=100/20/40', '--price', '3']
    const { out } = await cli(args, answers)
    expect(out).toContain('30 points, nothing was written')
    expect(out).toContain('estimate of the whole grid')
    expect(out).toContain('phantom 100/20/40;')
    const { out: json } = await cli([...args, '--json'], answers)
    expect(JSON.parse(json)).toMatchObject({
      ...body,
      estimate: { byKind: { pretrain: { runs: 5 } }, sizes: { phantom: { test: 40 } } },
    })
  })
})

describe('options of the estimate', () => {
  it.each(['0', '-1', 'much', ''])('take "%s" for no positive number', (text) => {
    expect(() => positiveNumber(text)).toThrow(InvalidArgumentError)
  })

  it.each(['nih', 'nih=1/2', 'nih=1/2/x', '=1/2/3'])('take "%s" for no size of a data set', (text) => {
    expect(() => datasetImages(text)).toThrow('NAME=TRAIN/VALIDATION/TEST')
  })

  it('collect the sizes of several data sets', () => {
    expect([...datasetImages('b=4/5/6', datasetImages('a=1/2/3')).keys()]).toEqual(['a', 'b'])
  })
})

it.each([
  [0, '0'],
  [999, '999'],
  [1234, '1.23 k'],
  [1.9186e9, '1.92 G'],
  [4.5e18, '4.5 E'],
  [0.25, '0.25'],
])('%d is shown as %s', (value, text) => {
  expect(short(value)).toBe(text)
})
