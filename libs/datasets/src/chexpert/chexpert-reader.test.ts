import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EHR_CATEGORIES, NO_DATASET_OPTIONS } from '#libs/experiments'
import { CHEXPERT_LABELS, fingerprintDataset, MISSING, readDataset, readerOf } from '../index.ts'
import { withSource } from '../source.ts'

const REAL = fileURLToPath(new URL('../../../../../shared/data/chexpert-csv', import.meta.url))
const hasReal = existsSync(REAL)
if (!hasReal)
  console.warn("the test on CheXpert's own table is skipped: no folder shared/data/chexpert-csv beside the repository")

const OPTIONS = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'fail',
  validationFraction: 0.1,
  splitSeed: 1,
} as const
/** The order of the table, which is not that of the method. */
const TABLE_LABELS = [
  ...['No Finding', 'Enlarged Cardiomediastinum', 'Cardiomegaly', 'Lung Opacity', 'Lung Lesion', 'Edema', 'Consolidation'],
  ...['Pneumonia', 'Atelectasis', 'Pneumothorax', 'Pleural Effusion', 'Pleural Other', 'Fracture', 'Support Devices'],
]
const HEADER = ['Path', 'Sex', 'Age', 'Frontal/Lateral', 'AP/PA', ...TABLE_LABELS].join(',')
const labels = (positive: Readonly<Record<string, string>>) => TABLE_LABELS.map((label) => positive[label] ?? '').join(',')
const path = (split: string, patient: number, view = 'view1_frontal') =>
  `CheXpert-v1.0-small/${split}/patient${String(patient).padStart(5, '0')}/study1/${view}.jpg`

const TRAIN = [
  `${path('train', 1)},Female,68,Frontal,AP,${labels({ 'No Finding': '1.0', 'Support Devices': '1.0' })}`,
  `${path('train', 2)},Male,87,Frontal,PA,${labels({ Fracture: '-1.0', Edema: '1.0', Pneumonia: '0.0' })}`,
  `${path('train', 2, 'view2_lateral')},Male,87,Lateral,,${labels({ Edema: '1.0' })}`,
  `${path('train', 3)},Unknown,0,Frontal,RL,${labels({})}`,
]
const VALID = [`${path('valid', 64541)},Female,73,Frontal,LL,${labels({ Cardiomegaly: '1.0' })}`]
const TEST = [
  `test/patient64741/study1/view1_frontal.jpg,${labels({ Atelectasis: '1' })}`,
  `test/patient64742/study1/view1_frontal.jpg,${labels({})}`,
]

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'chexpert-'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

interface Tables {
  readonly train: readonly string[]
  readonly valid: readonly string[]
  readonly test: readonly string[] | null
}
let made = 0
async function dataset(over: Partial<Tables> = {}, edit: Readonly<Record<string, (text: string) => string>> = {}) {
  const { train, valid, test } = { train: TRAIN, valid: VALID, test: TEST, ...over }
  const root = join(home, String(made++))
  await mkdir(root)
  const write = (file: string, header: string, rows: readonly string[]) => {
    const text = `${[header, ...rows].join('\n')}\n`
    return writeFile(join(root, file), edit[file]?.(text) ?? text)
  }
  await write('train.csv', HEADER, train)
  await write('valid.csv', HEADER, valid)
  if (test) await write('test.csv', ['Path', ...TABLE_LABELS].join(','), test)
  for (const row of [...TRAIN, ...VALID, ...(test ?? [])]) {
    const file = join(root, row.split(',', 1)[0]!.replace('CheXpert-v1.0-small/', ''))
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, 'image')
  }
  return { kind: 'chexpert', root, options: NO_DATASET_OPTIONS } as const
}

const positives = (row: Uint8Array) => CHEXPERT_LABELS.filter((_, at) => row[at] === 1)

it('gives one record an image, labels in the order of the method, splits by table', async () => {
  const { records, labelNames, notes } = await readDataset(await dataset(), OPTIONS)
  expect(labelNames).toEqual(CHEXPERT_LABELS)
  const seen = records.map(({ id, patient, split, age, labels: row }) => [id, patient, split, age, positives(row)])
  expect(seen).toEqual([
    ['test/patient64741/study1/view1_frontal.jpg', 'patient64741', 'test', Number.NaN, ['Atelectasis']],
    ['test/patient64742/study1/view1_frontal.jpg', 'patient64742', 'test', Number.NaN, []],
    ['train/patient00001/study1/view1_frontal.jpg', 'patient00001', 'train', 68, ['No Finding', 'Support Devices']],
    ['train/patient00002/study1/view1_frontal.jpg', 'patient00002', 'train', 87, ['Edema']],
    ['train/patient00002/study1/view2_lateral.jpg', 'patient00002', 'train', 87, ['Edema']],
    ['train/patient00003/study1/view1_frontal.jpg', 'patient00003', 'train', Number.NaN, []],
    ['valid/patient64541/study1/view1_frontal.jpg', 'patient64541', 'validation', 73, ['Cardiomegaly']],
  ])
  const word = (code: number, words: readonly string[]) => (code === MISSING ? null : words[code])
  expect(records.map(({ sex }) => word(sex, EHR_CATEGORIES.sex))).toEqual([null, null, 'female', 'male', 'male', null, 'female'])
  const views = [null, null, 'AP', 'PA', 'LATERAL', null, 'LL']
  expect(records.map(({ view }) => word(view, EHR_CATEGORIES.view))).toEqual(views)
  expect(notes['images without age']).toBe(3)
})

it.each([
  ['zeros', 0],
  ['ones', 1],
  ['ignore', MISSING],
] as const)('an uncertain label is, by policy %s, %d', async (uncertain, expected) => {
  const { records } = await readDataset(await dataset(), { ...OPTIONS, uncertain })
  expect(records[3]?.labels[CHEXPERT_LABELS.indexOf('Fracture')]).toBe(expected)
})

it('`dropAllZero` leaves test images without a positive label out, and no others', async () => {
  const { records, notes } = await readDataset(await dataset(), { ...OPTIONS, dropAllZero: true })
  expect(records).toHaveLength(6)
  expect(notes['test images without a positive label left out']).toBe(1)
  expect(records.filter(({ labels: row }) => positives(row).length === 0).map(({ split }) => split)).toEqual(['train'])
})

it('reads without the test set, which is a download of its own', async () => {
  const { records } = await readDataset(await dataset({ test: null }), OPTIONS)
  expect(new Set(records.map(({ split }) => split))).toEqual(new Set(['train', 'validation']))
})

describe('bad input to the CheXpert reader', () => {
  const row = (at: number, from: string | RegExp, to: string) => ({
    'train.csv': (text: string) =>
      text
        .split('\n')
        .map((line, i) => (i === at - 1 ? line.replace(from, to) : line))
        .join('\n'),
  })
  it.each([
    ['a path of another form', row(3, '/study1', ''), /path is not one like.*train.csv:3, Path/],
    ['an unknown sex', row(2, 'Female', 'F'), /sex.*train.csv:2, Sex/],
    ['an age that is no number', row(4, '87', 'old'), /age is not a whole number.*train.csv:4/],
    ['an unknown projection', row(2, 'AP', 'XX'), /projection.*train.csv:2, AP\/PA/],
    ['a label of another value', row(3, '-1.0', '0.5'), /label is none of.*train.csv:3, Fracture/],
    ['a column that is missing', row(1, 'Lung Lesion', 'Lesion'), /lacks a column.*train.csv:1, Lung Lesion/],
    ['a table without sex', row(1, 'Sex', 'Gender'), /lacks a column.*train.csv:1, Sex/],
  ])('%s is named with its place', async (_title, edit, expected) => {
    await expect(readDataset(await dataset({}, edit), OPTIONS)).rejects.toThrow(expected)
  })

  it('names missing tables, images twice, images without a file, patients in two splits', async () => {
    const bare = await dataset()
    await rm(join(bare.root, 'valid.csv'))
    await expect(fingerprintDataset(bare)).rejects.toThrow('a table is missing: CheXpert-v1.0: valid.csv (root)')
    const twice = await dataset({ train: [...TRAIN, TRAIN[0]!] })
    await expect(readDataset(twice, OPTIONS)).rejects.toThrow('listed already in train.csv, line 2 (train.csv:6, Path)')
    const gone = await dataset()
    await rm(join(gone.root, 'valid'), { recursive: true })
    await expect(readDataset(gone, OPTIONS)).rejects.toThrow('1 images have no file, the first on this line (valid.csv:2)')
    expect((await readDataset(gone, { ...OPTIONS, onBrokenImage: 'skip' })).notes['images without a file left out']).toBe(1)
    const crossing = await dataset({ valid: [VALID[0]!, TRAIN[1]!], train: [TRAIN[0]!, TRAIN[2]!] })
    await expect(readDataset(crossing, OPTIONS)).rejects.toThrow(/^1 patients stand in two splits \(SHA-256 .* [0-9a-f]{8}\)/)
    const none = await dataset()
    for (const split of ['train', 'valid', 'test']) await rm(join(none.root, split), { recursive: true })
    await expect(fingerprintDataset(none)).rejects.toThrow('no image of its tables lies there')
  })

  it('has none of the options of MIMIC-CXR', async () => {
    const plain = await dataset()
    const icu = { ...plain, options: { ...NO_DATASET_OPTIONS, splitRule: 'icu' } } as const
    await expect(fingerprintDataset(icu)).rejects.toThrow('a data set of kind chexpert has no such option (splitRule)')
  })
})

it.skipIf(!hasReal)('counts 3,000 rows of the official table as a plain reading does (skipped without shared/data)', async () => {
  const [header, ...lines] = (await readFile(join(REAL, 'train.csv'), 'utf8')).trim().split('\n')
  const names = header!.split(',')
  const rows = lines.map((line) => line.split(','))
  const root = join(home, 'real')
  await mkdir(root)
  await writeFile(join(root, 'train.csv'), `${[header, ...lines].join('\n')}\n`)
  await writeFile(join(root, 'valid.csv'), `${header}\n`)
  const images = rows.map(([image]) => ({ file: image!.replace('CheXpert-v1.0-small/', ''), sizeBytes: 1 }))
  const address = { kind: 'chexpert', root, options: NO_DATASET_OPTIONS } as const
  for (const [uncertain, counted] of [
    ['zeros', ['1.0']],
    ['ones', ['1.0', '-1.0']],
  ] as const) {
    const { records } = await withSource(address, {}, (source) =>
      readerOf('chexpert').read(source, { tables: [], images }, { ...OPTIONS, uncertain }),
    )
    expect(records).toHaveLength(3000)
    for (const [at, label] of CHEXPERT_LABELS.entries()) {
      const expected = rows.filter((cells) => (counted as readonly string[]).includes(cells[names.indexOf(label)]!)).length
      expect(records.filter((record) => record.labels[at] === 1).length, label).toBe(expected)
    }
    const males = rows.filter((cells) => cells[1] === 'Male').length
    expect(records.filter((record) => record.sex === EHR_CATEGORIES.sex.indexOf('male'))).toHaveLength(males)
    const lateral = rows.filter((cells) => cells[3] === 'Lateral').length
    expect(records.filter((record) => record.view === EHR_CATEGORIES.view.indexOf('LATERAL'))).toHaveLength(lateral)
  }
})
