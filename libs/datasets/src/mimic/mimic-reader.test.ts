import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DatasetOptions, NO_DATASET_OPTIONS } from '#libs/experiments'
import { fingerprintOf } from '../fingerprint.ts'
import { CHEXPERT_LABELS, fingerprintDataset, readDataset } from '../index.ts'
import { imageFile, type MadeImage, writeMimic } from './testing.ts'

const OPTIONS = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'fail',
  validationFraction: 0.1,
  splitSeed: 1,
} as const

const PATIENTS = Array.from({ length: 12 }, (_, at) => 10000032 + at)
/** Two images of one study a patient; the last two patients are for validation and test. */
const IMAGES = PATIENTS.flatMap((subject, at): MadeImage[] =>
  ['b', 'a'].map((letter) => ({
    dicom: `${letter}${subject}-0001`,
    subject,
    study: 50000000 + at,
    split: at === 10 ? 'validate' : at === 11 ? 'test' : 'train',
  })),
)
const MADE = {
  images: IMAGES,
  patients: PATIENTS.map((subject, at) => [subject, at % 2 ? 'M' : 'F', 40 + at, 2180] as const),
  admissions: [[PATIENTS[0]!, 20000001, '2180-05-06 10:00:00', '2180-05-07 10:00:00', 1] as const],
  icustays: PATIENTS.slice(0, 10).map((subject) => [subject, '2180-05-06 10:00:00', '2180-05-07 10:00:00'] as const),
  labels: { 50000001: { Edema: '1.0', Fracture: '-1.0', 'No Finding': '', Pneumonia: '0.0' }, 50000002: null },
}

let home: string
let good: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mimic-'))
  good = join(home, 'good')
  await writeMimic(good, MADE)
})
afterAll(() => rm(home, { recursive: true, force: true }))

const address = (root: string, over: Partial<DatasetOptions> = {}) =>
  ({ kind: 'mimic-cxr', root, options: { ...NO_DATASET_OPTIONS, mimicIv: join(root, 'mimic-iv'), ...over } }) as const

let copies = 0
async function copy(): Promise<string> {
  const root = join(home, `copy${copies++}`)
  await cp(good, root, { recursive: true })
  return root
}
async function edited(file: string, edit: (text: string) => string): Promise<string> {
  const root = await copy()
  await writeFile(join(root, file), edit(await readFile(join(root, file), 'utf8')))
  return root
}

const METADATA = 'mimic-cxr-2.0.0-metadata.csv'
const LABELS = 'mimic-cxr-2.0.0-chexpert.csv'
const SPLIT = 'mimic-cxr-2.0.0-split.csv'
const PATIENT_TABLE = 'mimic-iv/hosp/patients.csv'
const ADMISSIONS = 'mimic-iv/hosp/admissions.csv'
const STAYS = 'mimic-iv/icu/icustays.csv'

describe('MIMIC-CXR-JPG', () => {
  it('gives one record an image, sorted by id, with the labels of its study in the order of the method', async () => {
    const { records, labelNames, notes } = await readDataset(address(good), OPTIONS)
    expect(labelNames).toEqual(CHEXPERT_LABELS)
    expect(records.map((record) => record.id)).toEqual(
      IMAGES.filter(({ study }) => study !== 50000002)
        .map(({ dicom }) => dicom)
        .sort(),
    )
    expect(notes['images without a row of labels left out']).toBe(2)
    const first = records.find((record) => record.id === `a${PATIENTS[0]}-0001`)!
    expect(first).toMatchObject({ patient: String(PATIENTS[0]), split: 'train', sex: 1, age: 40, mortality: 1, icu: 0 })
    expect(first.file).toBe(`files/p10/p${PATIENTS[0]}/s50000000/a${PATIENTS[0]}-0001.jpg`)
    const positive = (study: number) => {
      const record = records.find((one) => one.file.includes(`/s${study}/`))!
      return CHEXPERT_LABELS.filter((_, at) => record.labels[at] === 1)
    }
    expect(positive(50000000)).toEqual(['No Finding'])
    expect(positive(50000001)).toEqual(['Edema'])
    expect(new Set(records.map((record) => record.split))).toEqual(new Set(['train', 'validation', 'test']))
  })

  it.each([
    ['zeros', 0],
    ['ones', 1],
    ['ignore', 255],
  ] as const)('an uncertain label is, by policy %s, %d', async (uncertain, expected) => {
    const { records } = await readDataset(address(good), { ...OPTIONS, uncertain })
    const { labels } = records.find((record) => record.file.includes('/s50000001/'))!
    expect(labels[CHEXPERT_LABELS.indexOf('Fracture')]).toBe(expected)
    expect([labels[CHEXPERT_LABELS.indexOf('Pneumonia')], labels[CHEXPERT_LABELS.indexOf('Lung Lesion')]]).toEqual([0, 0])
  })

  it('reads packed tables, names of 2.1.0 and the folders of older MIMIC-IV alike', async () => {
    const root = join(home, 'packed')
    await writeMimic(root, MADE, { gzip: true })
    for (const what of ['metadata', 'chexpert', 'split']) {
      await rename(join(root, `mimic-cxr-2.0.0-${what}.csv.gz`), join(root, `mimic-cxr-2.1.0-${what}.csv.gz`))
    }
    await rename(join(root, 'mimic-iv/hosp'), join(root, 'mimic-iv/core'))
    expect(await readDataset(address(root), OPTIONS)).toEqual(await readDataset(address(good), OPTIONS))
  })

  it('leaves images without a file out where broken images are skipped, else names the first line', async () => {
    const root = await copy()
    await rm(join(root, imageFile(IMAGES[3]!)))
    await rm(join(root, imageFile(IMAGES[8]!)))
    await expect(readDataset(address(root), OPTIONS)).rejects.toThrow(
      `2 images have no file, the first on this line (${METADATA}:5)`,
    )
    const { records, notes } = await readDataset(address(root), { ...OPTIONS, onBrokenImage: 'skip' })
    expect([records.length, notes['images without a file left out']]).toEqual([20, 2])
  })

  it('its fingerprint covers the tables of MIMIC-IV, the split rule and the images', async () => {
    const known = new Set([await fingerprintDataset(address(good))])
    const other = async (root: string, over: Partial<DatasetOptions> = {}) => {
      const before = known.size
      known.add(await fingerprintDataset(address(root, over)))
      expect(known.size).toBe(before + 1)
    }
    await other(good, { mimicIv: null })
    await other(good, { splitRule: 'icu' })
    await other(await edited(ADMISSIONS, (text) => text.replace('10:00:00', '11:00:00')))
    const fewer = await copy()
    await rm(join(fewer, imageFile(IMAGES[3]!)))
    await other(fewer)
    expect(await fingerprintDataset(address(await copy()))).toBe([...known][0])
  })
})

it('a split rule is part of the fingerprint even where the tables are the same', async () => {
  const inventory = { tables: [], images: [] }
  const of = (splitRule: DatasetOptions['splitRule']) => fingerprintOf('mimic-cxr', { splitRule }, inventory)
  expect(new Set([await of('official'), await of('icu'), await of('file')]).size).toBe(3)
})

describe('split rules of MIMIC-CXR', () => {
  const splitsOf = async (over: Partial<DatasetOptions>, seed = 1) => {
    const { records } = await readDataset(address(good, over), { ...OPTIONS, splitSeed: seed })
    return new Map(records.map((record) => [record.patient, record.split]))
  }

  it('`icu` draws validation and test from ICU patients alone, by patient, by the seed', async () => {
    const splits = await splitsOf({ splitRule: 'icu' })
    const of = (split: string) => [...splits].flatMap(([patient, one]) => (one === split ? [patient] : []))
    // Ten ICU patients: one for validation, two for test; a patient whose study has no labels may be among them.
    expect(of('validation').length).toBeLessThanOrEqual(1)
    expect([1, 2]).toContain(of('test').length)
    expect(await splitsOf({ splitRule: 'icu' })).toEqual(splits)
    const others = await Promise.all([2, 3, 4, 5, 6, 7, 8, 9].map((seed) => splitsOf({ splitRule: 'icu' }, seed)))
    for (const one of [splits, ...others]) {
      // The official split says otherwise of these two, who were in no ICU.
      expect([one.get(String(PATIENTS[10])), one.get(String(PATIENTS[11]))]).toEqual(['train', 'train'])
    }
    expect(others.some((one) => [...one].some(([patient, split]) => splits.get(patient) !== split))).toBe(true)
  })

  async function ownSplit(rows: readonly (readonly [string, string])[]): Promise<string> {
    const file = join(home, `own${copies++}.csv`)
    await writeFile(file, `dicom_id,study_id,subject_id,split\n${rows.map(([dicom, split]) => `${dicom},,,${split}\n`).join('')}`)
    return file
  }

  it('`file` takes the images that the table lists, and counts the rest', async () => {
    const words = ['train', 'val', 'test', 'validation']
    const listed = IMAGES.filter(({ study }) => study > 50000002).slice(0, 8)
    const split = await ownSplit(listed.map(({ dicom, study }) => [dicom, words[study % 4]!]))
    const { records, notes } = await readDataset(address(good, { splitRule: 'file', split }), OPTIONS)
    expect(records).toHaveLength(8)
    expect(notes['images in no split left out']).toBe(IMAGES.length - 8)
    for (const record of records) {
      const study = Number(/s(\d{8})/.exec(record.file)![1])
      expect(record.split).toBe(['train', 'validation', 'test', 'validation'][study % 4])
    }
  })

  it('patients in two splits are counted, with three examples as hashes, never as ids', async () => {
    const split = await ownSplit(IMAGES.map(({ dicom }) => [dicom, dicom.startsWith('a') ? 'train' : 'test']))
    const hashes = PATIENTS.map((id) => createHash('sha256').update(String(id)).digest('hex').slice(0, 8))
    const error: Error = await readDataset(address(good, { splitRule: 'file', split }), OPTIONS).then(
      () => expect.unreachable(),
      (one) => one,
    )
    const [, count, examples] = /^(\d+) patients stand in two splits \(SHA-256 of the ids begins with ([0-9a-f, ]+)\)/.exec(
      error.message,
    )!
    expect(count).toBe('11')
    expect(examples!.split(', ')).toHaveLength(3)
    for (const example of examples!.split(', ')) expect(hashes).toContain(example)
    expect(error.message).not.toMatch(/100000\d\d/)
  })

  it.each([
    ['an image that the metadata lack', 'nobody-0001', 'train', /no row in the metadata \(split\/own\d+\.csv:3, dicom_id\)/],
    ['an unknown split', IMAGES[1]!.dicom, 'dev', /none of train, .*own\d+\.csv:3, split/],
    ['an image twice', IMAGES[0]!.dicom, 'train', /listed already \(split\/own\d+\.csv:3/],
  ])('%s in an own table is named with its line', async (_title, dicom, word, expected) => {
    const split = await ownSplit([
      [IMAGES[0]!.dicom, 'train'],
      [dicom, word],
    ])
    await expect(readDataset(address(good, { splitRule: 'file', split }), OPTIONS)).rejects.toThrow(expected)
  })
})

type Edit = (text: string) => string
const cell =
  (line: number, column: number, value: string): Edit =>
  (text) => {
    const lines = text.split('\n')
    const cells = lines[line - 1]!.split(',')
    cells[column] = value
    lines[line - 1] = cells.join(',')
    return lines.join('\n')
  }
const repeat =
  (line: number): Edit =>
  (text) =>
    `${text}${text.split('\n')[line - 1]}\n`

const CASES: [string, string, Edit, RegExp][] = [
  [
    'a StudyDate of another form',
    METADATA,
    cell(7, 7, '2180-05-06'),
    /date is not one like 21800506 \(.*metadata.csv:7, StudyDate/,
  ],
  ['a StudyDate that is no day', METADATA, cell(9, 7, '21800231'), /metadata.csv:9, StudyDate/],
  ['a subject that is no number', METADATA, cell(3, 1, 'p1'), /subject_id is not a number.*metadata.csv:3/],
  ['an image id that is a path', METADATA, cell(4, 0, '../x'), /not a file name.*metadata.csv:4, dicom_id/],
  ['an empty image id', METADATA, cell(4, 0, ''), /cell is empty.*metadata.csv:4, dicom_id/],
  ['an image twice', METADATA, repeat(5), /image is listed already.*metadata.csv:26/],
  [
    'a column that is missing',
    METADATA,
    (t) => t.replace('ViewPosition', 'View'),
    /lacks a column.*metadata.csv:1, ViewPosition/,
  ],
  ['a row of other width', METADATA, (t) => `${t}x,y\n`, /not valid CSV.*metadata.csv/],
  ['a label of another value', LABELS, cell(4, 3, '0.5'), /label is none of 1.0, 0.0, -1.0 and empty.*chexpert.csv:4/],
  ['a label that is a word', LABELS, cell(2, 2, 'yes'), /chexpert.csv:2, Support Devices/],
  ['a study twice', LABELS, repeat(3), /study is listed already.*chexpert.csv:13/],
  ['a label that is missing', LABELS, (t) => t.replace('Lung Lesion', 'Lesion'), /lacks a column.*Lung Lesion/],
  ['a split of another word', SPLIT, cell(2, 3, 'dev'), /split.csv:2, split/],
  ['an unknown gender', PATIENT_TABLE, cell(3, 1, 'X'), /gender.*patients.csv:3/],
  ['an age that is no number', PATIENT_TABLE, cell(5, 2, 'old'), /anchor_age is not a whole number.*patients.csv:5/],
  ['a patient twice', PATIENT_TABLE, repeat(2), /patient is listed already.*patients.csv:14/],
  [
    'an admission at no time',
    ADMISSIONS,
    cell(2, 2, '6 May 2180'),
    /time is not one like.*mimic-iv\/hosp\/admissions.csv:2, admittime/,
  ],
  ['a discharge at no time', ADMISSIONS, cell(2, 3, '2180-13-01 00:00:00'), /admissions.csv:2, dischtime/],
  ['a flag of another value', ADMISSIONS, (t) => t.replace(/,1\n$/, ',yes\n'), /flag is neither 0 nor 1.*admissions.csv:2/],
  ['an ICU stay at no time', STAYS, cell(6, 4, 'soon'), /mimic-iv\/icu\/icustays.csv:6, outtime/],
  ['an ICU table without a column', STAYS, (t) => t.replace('intime', 'in'), /lacks a column.*icustays.csv:1, intime/],
]

describe('bad input to the MIMIC-CXR reader', () => {
  it.each(CASES)('%s is named with its place, and nothing of the row', async (_title, file, edit, expected) => {
    const error: Error = await readDataset(address(await edited(file, edit)), OPTIONS).then(
      () => expect.unreachable('it was read'),
      (one) => one,
    )
    expect(error.message).toMatch(expected)
    expect(`${error.message}${error.cause ?? ''}`).not.toMatch(/1000\d{4}|OTHER/)
  })

  it.each([
    [METADATA, 'MIMIC-CXR-JPG v2.0.0: mimic-cxr-2.0.0-metadata.csv.gz (root)'],
    [LABELS, 'MIMIC-CXR-JPG v2.0.0: mimic-cxr-2.0.0-chexpert.csv.gz (root)'],
    [SPLIT, 'MIMIC-CXR-JPG v2.0.0: mimic-cxr-2.0.0-split.csv.gz (root)'],
    [PATIENT_TABLE, 'MIMIC-IV: hosp/patients.csv.gz (mimicIv)'],
    [ADMISSIONS, 'MIMIC-IV: hosp/admissions.csv.gz (mimicIv)'],
    [STAYS, 'MIMIC-IV: icu/icustays.csv.gz (mimicIv)'],
  ])('a missing %s is called as its download page calls it, when the data set is registered', async (file, name) => {
    const root = await copy()
    await rm(join(root, file))
    await expect(fingerprintDataset(address(root))).rejects.toThrow(`a table is missing: ${name}`)
  })

  it('says that no image lies there, that a folder is missing, that the split table is', async () => {
    const empty = await copy()
    await rm(join(empty, 'files'), { recursive: true })
    await expect(fingerprintDataset(address(empty))).rejects.toThrow('no image of the metadata lies under files/pNN')
    await expect(fingerprintDataset(address(good, { mimicIv: join(home, 'none') }))).rejects.toThrow('cannot be read (mimicIv)')
    const gone = { splitRule: 'file', split: join(home, 'gone.csv') } as const
    await expect(fingerprintDataset(address(good, gone))).rejects.toThrow('the split table is missing (split)')
  })

  it('counts why nothing is left', async () => {
    const root = await edited(LABELS, (text) => `${text.split('\n')[0]}\n`)
    await expect(readDataset(address(root), OPTIONS)).rejects.toThrow(
      'no image is left to prepare: 24 images without a row of labels left out',
    )
  })

  it.each([60, 10, -1])('a packed table cut at %d is found when the data set is registered', async (bytes) => {
    const root = await copy()
    await writeFile(join(root, `${LABELS}.gz`), gzipSync(await readFile(join(root, LABELS))).subarray(0, bytes))
    await rm(join(root, LABELS))
    await expect(fingerprintDataset(address(root))).rejects.toThrow(`cut short or damaged: download it again (${LABELS}.gz)`)
  })

  it.each([
    [{ splitRule: 'icu', mimicIv: null }, 'split rule "icu" needs MIMIC-IV'],
    [{ splitRule: 'file' }, 'split rule "file" needs a split table'],
    [{ split: '/x.csv' }, 'split rule "official" reads no split table'],
  ] as const)('options %j contradict each other', async (over, problem) => {
    await expect(fingerprintDataset(address(good, over))).rejects.toThrow(problem)
  })
})
