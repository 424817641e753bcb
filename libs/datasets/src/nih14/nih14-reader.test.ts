import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_DATASET_OPTIONS } from '#libs/experiments'
import { fingerprintDataset, makePhantomNih, readDataset } from '../index.ts'

const OPTIONS = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'fail',
  validationFraction: 0.1,
  splitSeed: 1,
} as const
const nih = (root: string) => ({ kind: 'nih14', root, options: NO_DATASET_OPTIONS }) as const
let home: string
let good: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'nih14-'))
  good = join(home, 'good')
  await makePhantomNih(good, { images: 12, patients: 10, seed: 1 })
})
afterAll(() => rm(home, { recursive: true, force: true }))

const TABLE = 'Data_Entry_2017.csv'
type Edit = (text: string) => string
const line2 =
  (edit: (cells: string[]) => void): Edit =>
  (text) => {
    const lines = text.split('\n')
    const cells = lines[1]!.split(',')
    edit(cells)
    lines[1] = cells.join(',')
    return lines.join('\n')
  }
const CASES: [string, string, Edit | null, RegExp][] = [
  ['an unknown finding', TABLE, line2((c) => (c[1] = 'Cough')), /none of the fourteen.*csv:2, Finding Labels/],
  ['an age that is no age', TABLE, line2((c) => (c[4] = 'old')), /age.*csv:2, Patient Age/],
  ['an unknown gender', TABLE, line2((c) => (c[5] = 'X')), /gender.*csv:2/],
  ['an unknown view', TABLE, line2((c) => (c[6] = 'LL')), /view.*csv:2/],
  ['a column that is missing', TABLE, (t) => t.replace('Patient Age', 'Years'), /lacks a column.*csv:1, Patient Age/],
  ['an image of two rows', TABLE, (t) => `${t}${t.split('\n')[1]}\n`, /listed already on line 2.*csv:14/],
  ['a finding beside no finding', TABLE, line2((c) => (c[1] = 'No Finding|Mass')), /stands beside a finding.*csv:2/],
  ['an empty cell', TABLE, line2((c) => (c[3] = '')), /the cell is empty.*csv:2, Patient ID/],
  ['a path for a name', TABLE, line2((c) => (c[0] = '../x.png')), /holds no path.*csv:2/],
  ['an open quote', TABLE, (t) => t.replace('F,', '"F,'), /not valid CSV.*csv/],
  ['an empty list', 'test_list.txt', () => '\n', /the list is empty.*test_list/],
  ['an entry without a row', 'test_list.txt', (t) => `${t}99_000.png\n`, /no row in the table.*test_list/],
  ['an entry twice in a list', 'test_list.txt', (t) => `${t}${t.split('\n')[0]}\n`, /listed already on line 1/],
  ['a table that is missing', TABLE, null, /neither Data_Entry/],
  ['a list that is missing', 'test_list.txt', null, /a list is missing.*test_list/],
]

describe('bad input to the NIH ChestX-ray14 reader', () => {
  it.each(CASES)('%s is named with its place', async (title, file, edit, expected) => {
    const root = join(home, title.replaceAll(' ', '-'))
    await cp(good, root, { recursive: true })
    if (edit) await writeFile(join(root, file), edit(await readFile(join(root, file), 'utf8')))
    else await rm(join(root, file))
    await expect(readDataset(nih(root), OPTIONS)).rejects.toThrow(expected)
  })

  it('an image in both lists is refused', async () => {
    const root = join(home, 'both')
    await cp(good, root, { recursive: true })
    const train = await readFile(join(root, 'train_val_list.txt'), 'utf8')
    await writeFile(join(root, 'test_list.txt'), `${train.split('\n')[0]}\n`)
    await expect(readDataset(nih(root), OPTIONS)).rejects.toThrow(/also stands in train_val_list.txt, line 1/)
  })

  it('a patient in both lists is refused by a hash, never by its id', async () => {
    const root = join(home, 'crossing')
    await makePhantomNih(root, { images: 40, patients: 10, seed: 1 })
    const train = (await readFile(join(root, 'train_val_list.txt'), 'utf8')).split('\n')
    const at = train.findIndex((id, i) => id.slice(0, 8) === train[i + 1]?.slice(0, 8))
    const [moved] = train.splice(at, 1)
    await writeFile(join(root, 'train_val_list.txt'), train.join('\n'))
    await writeFile(join(root, 'test_list.txt'), `${await readFile(join(root, 'test_list.txt'), 'utf8')}${moved}\n`)
    const patient = String(Number(moved!.slice(0, 8)))
    const hash = createHash('sha256').update(patient).digest('hex').slice(0, 8)
    await expect(readDataset(nih(root), OPTIONS)).rejects.toThrow(
      `1 patients stand in both lists (SHA-256 of the ids begins with ${hash})`,
    )
  })

  it('a listed image without a file, or with two, is refused', async () => {
    const root = join(home, 'files')
    await cp(good, root, { recursive: true })
    await mkdir(join(root, 'images_002/images'), { recursive: true })
    const name = '00000004_000.png'
    await cp(join(root, 'images_001/images', name), join(root, 'images_002/images', name))
    await expect(readDataset(nih(root), OPTIONS)).rejects.toThrow(/lies twice, also at images_001.*images_002/)
    await rm(join(root, 'images_001/images', name))
    await rm(join(root, 'images_002/images', name))
    await expect(readDataset(nih(root), OPTIONS)).rejects.toThrow(/1 listed images have no file.*csv:\d+/)
    const { records, notes } = await readDataset(nih(root), { ...OPTIONS, onBrokenImage: 'skip' })
    expect([records.length, notes['images without a file left out']]).toEqual([11, 1])
  })

  it('a folder of another kind, or none, is refused by the fingerprint too', async () => {
    await expect(fingerprintDataset(nih(home))).rejects.toThrow('not an NIH ChestX-ray14 folder')
    await expect(fingerprintDataset(nih(join(home, 'nowhere')))).rejects.toThrow('root of the data set cannot be read')
    await expect(fingerprintDataset({ ...nih(good), kind: 'chexpert' })).rejects.toThrow('CheXpert-v1.0: train.csv')
  })
})

it('no patient stands in two splits, and ages above 120 are missing', async () => {
  const root = join(home, 'ages')
  await cp(good, root, { recursive: true })
  await writeFile(join(root, TABLE), line2((c) => (c[4] = '412'))(await readFile(join(root, TABLE), 'utf8')))
  const { records, notes } = await readDataset(nih(root), OPTIONS)
  expect(notes['impossible ages']).toBe(1)
  const pairs = new Set(records.map((one) => `${one.patient} ${one.split}`))
  expect(pairs.size).toBe(10)
  expect(await fingerprintDataset(nih(root))).not.toBe(await fingerprintDataset(nih(good)))
})

it('images in one folder read as those in many', async () => {
  const root = join(home, 'one-folder')
  await cp(good, root, { recursive: true })
  await cp(join(root, 'images_001/images'), join(root, 'images'), { recursive: true })
  await rm(join(root, 'images_001'), { recursive: true })
  const { records } = await readDataset(nih(root), OPTIONS)
  expect(records).toHaveLength(12)
  expect(records[0]?.file).toMatch(/^images\/0000/)
})

it('both editions of the table read alike', async () => {
  const root = join(home, 'edition-2020')
  await cp(good, root, { recursive: true })
  const table = await readFile(join(root, TABLE), 'utf8')
  const edition = table
    .replace('Patient Gender', 'Patient Sex')
    .replace('OriginalImage[Width,Height]', '"OriginalImage[Width,Height]"')
    .split('\n')
    .map((line) => (line === '' ? '' : `${line},`))
    .join('\r\n')
  await rm(join(root, TABLE))
  await writeFile(join(root, 'Data_Entry_2017_v2020.csv'), `\ufeff${edition}`)
  expect(await readDataset(nih(root), OPTIONS)).toEqual(await readDataset(nih(good), OPTIONS))
})

it.each([
  ['058Y', 58],
  ['006M', 0.5],
  ['120', 120],
  ['121', Number.NaN],
])('the age %s is %d years', async (cell, years) => {
  const root = join(home, `age-${cell}`)
  await cp(good, root, { recursive: true })
  await writeFile(join(root, TABLE), line2((c) => (c[4] = cell))(await readFile(join(root, TABLE), 'utf8')))
  expect((await readDataset(nih(root), OPTIONS)).records[0]?.age).toBe(years)
})

it('images without finding are left out where the spec says so, without moving a patient to another split', async () => {
  const root = join(home, 'findings')
  await makePhantomNih(root, { images: 80, patients: 30, seed: 4 })
  const all = await readDataset(nih(root), OPTIONS)
  const abnormal = await readDataset(nih(root), { ...OPTIONS, includeNoFinding: false })
  expect(abnormal.notes['rows without finding left out']).toBe(80 - abnormal.records.length)
  expect(abnormal.records).toEqual(all.records.filter((record) => record.labels.includes(1)))
  expect(abnormal.records.length).toBeLessThan(80)
})

it('the validation split takes its share of patients, drawn by the seed, and leaves the test list alone', async () => {
  const root = join(home, 'validation')
  await makePhantomNih(root, { images: 60, patients: 50, seed: 4 })
  const patientsOf = async (split: string, options: object) => {
    const { records } = await readDataset(nih(root), { ...OPTIONS, ...options })
    return [...new Set(records.filter((record) => record.split === split).map((record) => record.patient))].sort()
  }
  const first = await patientsOf('validation', { validationFraction: 0.2, splitSeed: 1 })
  expect(first).toHaveLength(8)
  expect(await patientsOf('validation', { validationFraction: 0.2, splitSeed: 1 })).toEqual(first)
  expect(await patientsOf('validation', { validationFraction: 0.2, splitSeed: 2 })).not.toEqual(first)
  expect(await patientsOf('test', { splitSeed: 2 })).toEqual(await patientsOf('test', { splitSeed: 1 }))
})
