import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fingerprintDataset, makePhantomNih, readerOf } from '../index.ts'

const OPTIONS = { includeNoFinding: true, uncertain: 'zeros', validationFraction: 0.1, splitSeed: 1 } as const
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
    await expect(readerOf('nih14').read(root, OPTIONS)).rejects.toThrow(expected)
  })

  it('an image in both lists is refused', async () => {
    const root = join(home, 'both')
    await cp(good, root, { recursive: true })
    const train = await readFile(join(root, 'train_val_list.txt'), 'utf8')
    await writeFile(join(root, 'test_list.txt'), `${train.split('\n')[0]}\n`)
    await expect(readerOf('nih14').read(root, OPTIONS)).rejects.toThrow(/also stands in train_val_list.txt, line 1/)
  })

  it('a kind without a reader is named', () => {
    expect(() => readerOf('mimic-cxr')).toThrow('no reader for "mimic-cxr" yet')
  })
})

it('no patient stands in two splits, and ages above 120 are missing', async () => {
  const root = join(home, 'ages')
  await cp(good, root, { recursive: true })
  await writeFile(join(root, TABLE), line2((c) => (c[4] = '412'))(await readFile(join(root, TABLE), 'utf8')))
  const { records, notes } = await readerOf('nih14').read(root, OPTIONS)
  expect(notes['impossible ages']).toBe(1)
  const pairs = new Set(records.map((one) => `${one.patient} ${one.split}`))
  expect(pairs.size).toBe(10)
  expect(await fingerprintDataset('nih14', root)).not.toBe(await fingerprintDataset('nih14', good))
})
