import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  EHR_CATEGORIES,
  type EhrRecord,
  presetBackbone,
  presetDino,
  presetEvaluate,
  presetMae,
  presetPretrain,
  presetTransfer,
  SPLITS,
} from '#libs/experiments'
import type { Pack, ViewBatch } from '#libs/training'
import { filled, fitFills } from '../imputation/fills.ts'
import { MISSING } from '../record.ts'
import { dataSources } from './data-sources.ts'
import { ehrImages } from './ehr-vectors.ts'
import { labelFraction } from './label-fraction.ts'
import { labelMatrix } from './label-sets.ts'

const COUNT = 60
const SIDE = 64
const male = 0
const AP = EHR_CATEGORIES.view.indexOf('AP')

/** 60 made-up images of 20 patients; every third patient tests, every sixth validates. */
function madePack(): Pack {
  const patient = Int32Array.from({ length: COUNT }, (_, i) => Math.floor(i / 3))
  const bytes = (of: (i: number) => number) => Uint8Array.from({ length: COUNT }, (_, i) => of(i))
  return {
    count: COUNT,
    sidePx: SIDE,
    labelNames: ['A', 'B'],
    columns: {
      patient,
      split: bytes((i) => (patient[i]! % 3 === 0 ? SPLITS.indexOf(patient[i]! % 6 === 0 ? 'validation' : 'test') : 0)),
      sex: bytes((i) => (i === 4 ? MISSING : patient[i]! % 2)),
      age: Float32Array.from({ length: COUNT }, (_, i) => (i === 5 ? Number.NaN : 20 + i)),
      view: bytes((i) => (i % 2 === 0 ? AP : 0)),
      position: bytes(() => MISSING),
      mortality: bytes(() => MISSING),
      icu: bytes(() => MISSING),
      labels: Uint8Array.from({ length: COUNT * 2 }, (_, i) => i % 2),
    },
    sampleKey: (index) => `key-${index}`,
    image: async (index) => new Uint8Array(SIDE * SIDE).fill(index),
    close: async () => undefined,
  }
}

const pack = madePack()
const backbone = presetBackbone('tiny-cpu', 'vit-tiny')
const pretrain = { ...presetPretrain('tiny-cpu', { dataset: 'd', seed: 3, backbone, ehr: null }), batch: 8 }
const evaluate = presetEvaluate('tiny-cpu', { dataset: 'd', mode: 'linear', labels: 'findings', seed: 3, labelFraction: 1 })
const ehr = {
  variables: ['sex', 'age'] as ('sex' | 'age')[],
  ageEncoding: 'norm' as const,
  embedDim: 4,
  imputeFitOn: 'train' as const,
}

describe('the pretraining source', () => {
  it('shows each image of the training split at most once an epoch, in an order of its own each epoch', async () => {
    const source = await dataSources.pretrain(pack, pretrain)
    const epoch = async (number: number) => {
      const keys: string[] = []
      for (let step = 0; step < source.stepsPerEpoch; step++) keys.push(...(await source.views(number, step)).sampleKeys)
      return keys
    }
    const [first, second] = [await epoch(0), await epoch(1)]
    const training = Array.from(pack.columns.split.keys()).filter((i) => pack.columns.split[i] === 0)
    expect(source.images).toBe(training.length)
    expect(new Set(first).size).toBe(source.stepsPerEpoch * 8)
    expect(first.every((key) => training.includes(Number(key.slice(4))))).toBe(true)
    expect(second).not.toEqual(first)
  })

  it('gives the same views whether or not other steps were asked for before', async () => {
    const busy = await dataSources.pretrain(pack, pretrain)
    for (const [epoch, step] of [
      [0, 0],
      [1, 3],
      [0, 2],
    ] as const)
      await busy.views(epoch, step)
    const fresh = await dataSources.pretrain(pack, pretrain)
    expect(await fresh.views(1, 2)).toEqual(await busy.views(1, 2))
  })

  it('lays focal rows out as focal 0 of all images, then focal 1', async () => {
    const source = await dataSources.pretrain(pack, { ...pretrain, views: { ...pretrain.views, focalCount: 3 } })
    const { views, sampleKeys } = await source.views(0, 0)
    const { focal, target } = views
    const side = focal!.sidePx
    for (let row = 0; row < 24; row++) {
      expect(focal!.data[row * side * side]).toBeCloseTo(Number(sampleKeys[row % 8]!.slice(4)), 3)
    }
    expect([focal!.rows, target!.rows, target!.sidePx]).toEqual([24, 8, backbone.imagePx])
  })

  it('draws every view of an image by its own number, through all groups', async () => {
    const structured = {
      ...madePack(),
      image: async () => Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i * 37 + (i >> 6)) % 251),
    }
    const sameSize = { ...pretrain.views, focalCount: 2, focalPx: backbone.imagePx, focalScale: pretrain.views.randomScale }
    const source = await dataSources.pretrain(structured, { ...pretrain, views: sameSize })
    const { views } = await source.views(0, 0)
    const size = backbone.imagePx ** 2
    // Target, random and the two focal views of the first image: alike in everything but their number.
    const drawn = [views.target!, views.random!, views.focal!].flatMap(({ data, rows }) =>
      Array.from({ length: rows / 8 }, (_, view) => data.slice(view * 8 * size, (view * 8 + 1) * size).join()),
    )
    expect(drawn).toHaveLength(4)
    expect(new Set(drawn).size).toBe(4)
  })

  it('gives DINO global and local views and MAE one image, of the sizes of their specs', async () => {
    const choice = { dataset: 'd', seed: 3, backbone, ehr: null }
    const dino = await dataSources.pretrain(pack, { ...presetDino('tiny-cpu', choice), batch: 8 })
    const mae = await dataSources.pretrain(pack, { ...presetMae('tiny-cpu', choice), batch: 8 })
    const sizes = ({ views, ehr: vectors }: ViewBatch) => [
      ...Object.entries(views).map(([name, { rows, sidePx }]) => `${name} ${rows} x ${sidePx}`),
      vectors,
    ]
    expect(sizes(await dino.views(0, 0))).toEqual(['global 16 x 64', 'local 16 x 32', null])
    expect(sizes(await mae.views(0, 0))).toEqual(['image 8 x 64', null])
    const { views } = await dino.views(0, 0)
    const [first, second] = [views.global!.data.subarray(0, 64 * 64), views.global!.data.subarray(8 * 64 * 64, 9 * 64 * 64)]
    expect(Math.round(first[0]!)).toBe(Math.round(second[0]!))
  })

  it('gives every image its own EHR vector', async () => {
    const source = await dataSources.pretrain(pack, { ...pretrain, ehr: { ...ehr, impute: 'drop' } })
    expect(source.images).toBe(37)
    const { ehr: vectors, sampleKeys } = await source.views(0, 1)
    sampleKeys.forEach((key, row) => {
      const image = Number(key.slice(4))
      const sex = pack.columns.sex[image] === male ? [1, 0] : [0, 1]
      expect(Array.from(vectors!.subarray(row * 3, row * 3 + 3))).toEqual([...sex, Math.fround((20 + image - 16) / 84)])
    })
  })

  it('uses validation and test images only where the spec says all', async () => {
    expect((await dataSources.pretrain(pack, { ...pretrain, pretrainOn: 'all' })).images).toBe(COUNT)
  })
})

describe('EHR gaps', () => {
  const images = Int32Array.of(3, 4, 5)
  const record = (over: Partial<EhrRecord>): EhrRecord => ({
    ...{ sex: 'male', age: 50, view: 'PA', position: null, mortality: null, icu: null },
    ...over,
  })

  it('take the commonest value, or the mean age, of records that share the other categories', () => {
    const fitted = [
      ...Array.from({ length: 3 }, () => record({ sex: 'female', view: 'PA', age: 30 })),
      ...Array.from({ length: 2 }, () => record({ sex: 'male', view: 'AP', age: 70 })),
      record({ sex: 'male', view: 'AP', age: 76 }),
    ]
    const fills = fitFills(fitted)
    expect(filled(record({ sex: null, view: 'AP' }), ['sex', 'age'], fills).sex).toBe('male')
    expect(filled(record({ sex: 'male', view: 'AP', age: null }), ['sex', 'age'], fills).age).toBe(72)
  })

  it('fall back to all records where none shares the other categories', () => {
    const fills = fitFills([record({ sex: 'female' }), record({ sex: 'female' }), record({})])
    expect(filled(record({ sex: null, view: 'LL' }), ['sex'], fills).sex).toBe('female')
  })

  it('are filled alike whatever else the EHR set holds', () => {
    const fitted = [...Array.from({ length: 5 }, () => record({})), record({ sex: 'female', view: 'AP' })]
    const gap = record({ sex: null, view: 'AP' })
    const fills = fitFills(fitted)
    expect(filled(gap, ['sex'], fills).sex).toBe(filled(gap, ['sex', 'view'], fills).sex)
  })

  it('drop their image, or get an unknown column, or are filled', () => {
    expect(Array.from(ehrImages(pack, images, { ...ehr, impute: 'drop' }).images)).toEqual([3])
    const unknown = ehrImages(pack, images, { ...ehr, impute: 'unknown-column' }).vectors
    expect(Array.from(unknown[1]!.subarray(0, 3))).toEqual([0, 0, 1])
    const filled = ehrImages(pack, images, { ...ehr, impute: 'mode-by-other' }).vectors
    expect(filled.every((vector) => vector.length === 3 && vector.every(Number.isFinite))).toBe(true)
  })

  it('that no record can fill are refused by the name of the variable', () => {
    const spec = { ...ehr, variables: ['position' as const], ageEncoding: null, impute: 'mode-by-other' as const }
    expect(() => ehrImages(pack, images, spec)).toThrow('tells no position')
    expect(() => ehrImages(pack, images, { ...spec, impute: 'drop' })).toThrow('no image has all EHR variables')
  })

  it('are fitted on training images alone unless all are asked for', () => {
    const skewed = madePack()
    const test = Array.from(skewed.columns.split.keys()).filter((i) => skewed.columns.split[i] === SPLITS.indexOf('test'))
    for (const index of test) skewed.columns.age[index] = 1000
    const filled = (imputeFitOn: 'train' | 'all') => {
      const spec = { ...ehr, variables: ['age' as const], imputeFitOn, impute: 'mode-by-other' as const }
      return ehrImages(skewed, Int32Array.of(5), spec).vectors[0]![0]!
    }
    expect(filled('train')).toBeLessThan(1)
    expect(filled('all')).toBeGreaterThan(1)
  })
})

describe('labels', () => {
  it('are the findings, or AP, male, 60 years and older', () => {
    const row = (set: Parameters<typeof labelMatrix>[1], index: number) => Array.from(labelMatrix(pack, set).rowOf(index))
    expect([row('findings', 7), row('view', 2), row('view', 3)]).toEqual([[0, 1], [1], [0]])
    expect([row('sex', 0), row('sex', 3), row('sex', 4)]).toEqual([[1], [0], [MISSING]])
    expect([row('age60', 39), row('age60', 40), row('age60', 5)]).toEqual([[0], [1], [MISSING]])
    expect((['findings', 'view', 'sex', 'age60'] as const).map((set) => labelMatrix(pack, set).names)).toEqual([
      ['A', 'B'],
      ['AP'],
      ['male'],
      ['age>=60'],
    ])
  })

  it('of a fraction are whole patients, the same for a seed, and nested', () => {
    const images = Int32Array.from({ length: COUNT }, (_, i) => i)
    const take = (fraction: number, seed = 1, fractionBy: 'patient' | 'image' = 'patient') =>
      Array.from(labelFraction(pack, images, { seed, labelFraction: fraction, fractionBy }))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), fc.double({ min: 0.001, max: 1, noNaN: true }), (seed, fraction) => {
        const chosen = take(fraction, seed)
        expect(chosen.length).toBe(3 * Math.max(1, Math.round(20 * fraction)))
        expect(new Set(chosen.map((i) => pack.columns.patient[i])).size * 3).toBe(chosen.length)
        expect(take(1, seed)).toEqual(expect.arrayContaining(chosen))
      }),
      { numRuns: 50 },
    )
    expect(take(0.5)).toEqual(expect.arrayContaining(take(0.1)))
    expect(take(0.5, 1)).not.toEqual(take(0.5, 2))
    expect(take(0.1, 1, 'image')).toHaveLength(6)
    expect(take(0.001)).toHaveLength(3)
  })
})

describe('the evaluation source', () => {
  it('reduces the training split alone', async () => {
    const whole = await dataSources.evaluation(pack, evaluate, backbone.imagePx)
    const low = await dataSources.evaluation(pack, { ...evaluate, labelFraction: 0.25 }, backbone.imagePx)
    expect([low.validation.images, low.test.images]).toEqual([whole.validation.images, whole.test.images])
    expect(low.train.images).toBeLessThan(whole.train.images / 2)
    expect(whole.train.images + whole.validation.images + whole.test.images).toBe(COUNT)
  })

  it('serves the images asked for, in the order asked for, augmented by epoch only', async () => {
    const { test } = await dataSources.evaluation(pack, evaluate, backbone.imagePx)
    const views = await test.views(Int32Array.of(2, 0), null)
    const levels = [views.data[0], views.data[backbone.imagePx ** 2]].map((value) => Math.round(value!))
    expect(levels).toEqual([2, 0].map((place) => Number(test.sampleKeys[place]!.slice(4))))
    expect(await test.views(Int32Array.of(1), 3)).toEqual(await test.views(Int32Array.of(1), 3))
    await expect(test.views(Int32Array.of(999), null)).rejects.toThrow(RangeError)
  })

  it('of a transfer is the same test split, without augmentation', async () => {
    const trainedOn = { dataset: 'other', mode: 'linear' } as const
    const spec = presetTransfer('tiny-cpu', { dataset: 'd', trainedOn, labels: 'findings', labelFraction: 0.5, seed: 3 })
    const test = await dataSources.transfer(pack, spec, backbone.imagePx)
    const { test: expected } = await dataSources.evaluation(pack, evaluate, backbone.imagePx)
    expect([test.sampleKeys, test.labels, test.labelNames]).toEqual([expected.sampleKeys, expected.labels, expected.labelNames])
    expect(await test.views(Int32Array.of(1, 0), 3)).toEqual(await expected.views(Int32Array.of(1, 0), null))
  })

  it('refuses a crop larger than the picture, and an empty split', async () => {
    await expect(dataSources.evaluation(pack, { ...evaluate, resizePx: 32 }, 64)).rejects.toThrow('cannot be cropped to 64 px')
    const untested = madePack()
    untested.columns.split.fill(0)
    await expect(dataSources.evaluation(untested, evaluate, backbone.imagePx)).rejects.toThrow('validation split has no image')
  })
})
