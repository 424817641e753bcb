import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EHR_CATEGORIES } from '#libs/experiments'
import { type ImageRecord, MISSING, readerOf } from '../index.ts'
import { type DatasetAddress, withSource } from '../source.ts'
import { imageFile, type MadeImage, type MadeMimic, mimicTables } from './testing.ts'

const DEMO = fileURLToPath(new URL('../../../../../shared/data/mimic-iv-demo', import.meta.url))
const hasDemo = existsSync(DEMO)
if (!hasDemo)
  console.warn('the tests on real MIMIC-IV tables are skipped: no folder shared/data/mimic-iv-demo beside the repository')

const OPTIONS = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'fail',
  validationFraction: 0.1,
  splitSeed: 1,
} as const
let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'derive-'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

let made = 0
/** Records by image id; all images are said to lie there. */
async function derived(mimic: MadeMimic, mimicIv?: string | null) {
  const root = join(home, String(made++))
  for (const [name, text] of Object.entries(mimicTables(mimic))) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
  const iv = mimicIv === undefined ? join(root, 'mimic-iv') : mimicIv
  const address: DatasetAddress = { kind: 'mimic-cxr', root, options: { mimicIv: iv, split: null, splitRule: 'official' } }
  const images = mimic.images.map((image) => ({ file: imageFile(image), sizeBytes: 1 }))
  const table = await withSource(address, {}, (source) => readerOf('mimic-cxr').read(source, { tables: [], images }, OPTIONS))
  return { ...table, of: new Map(table.records.map((record) => [record.id, record])) }
}

/** The record's EHR variables as words; undefined: left out. */
function words(record: ImageRecord | undefined) {
  if (!record) return undefined
  const word = (variable: keyof typeof EHR_CATEGORIES) =>
    record[variable] === MISSING ? null : (EHR_CATEGORIES[variable][record[variable]] as string)
  return {
    sex: word('sex'),
    age: record.age,
    view: word('view'),
    position: word('position'),
    mortality: word('mortality'),
    icu: word('icu'),
  }
}

const SUBJECT = 10000001
const image = (dicom: string, over: Partial<MadeImage> = {}): MadeImage => ({ dicom, subject: SUBJECT, study: 50000001, ...over })
const WOMAN = [SUBJECT, 'F', 60, 2180] as const

describe('days of an admission', () => {
  const admission = (id: number, from: string, to: string, died: number) => [SUBJECT, id, from, to, died] as const
  const died = [admission(20000001, '2180-05-06 22:23:00', '2180-05-09 03:15:00', 1)]
  it.each([
    ['the day before', '21800505', 'alive'],
    ['the day of admission, though the X-ray may be earlier than the hour', '21800506', 'died'],
    ['a day within', '21800508', 'died'],
    ['the day of discharge', '21800509', 'died'],
    ['the day after', '21800510', 'alive'],
  ])('%s', async (_title, date, expected) => {
    const { of } = await derived({ images: [image('a', { date })], patients: [WOMAN], admissions: died })
    expect(words(of.get('a'))?.mortality).toBe(expected)
  })

  it.each([
    ['the later admission tells, whatever the order of rows', [0, 1]],
    ['and in the other order', [1, 0]],
  ])('%s', async (_title, order) => {
    const two = [
      admission(20000009, '2180-05-01 08:00:00', '2180-05-07 10:00:00', 0),
      admission(20000002, '2180-05-07 12:00:00', '2180-05-20 10:00:00', 1),
    ]
    const admissions = order.map((at) => two[at]!)
    const images = [image('first', { date: '21800506' }), image('both', { date: '21800507' })]
    const { of } = await derived({ images, patients: [WOMAN], admissions })
    expect([words(of.get('first'))?.mortality, words(of.get('both'))?.mortality]).toEqual(['alive', 'died'])
  })

  it('an earlier death does not outweigh a later admission', async () => {
    const admissions = [
      admission(20000001, '2180-05-01 08:00:00', '2180-05-30 10:00:00', 1),
      admission(20000002, '2180-05-07 12:00:00', '2180-05-20 10:00:00', 0),
    ]
    const { of } = await derived({ images: [image('a', { date: '21800508' })], patients: [WOMAN], admissions })
    expect(words(of.get('a'))?.mortality).toBe('alive')
  })

  it('an admission of another patient, or without an end, holds no day', async () => {
    const admissions = [
      [SUBJECT + 1, 20000001, '2180-05-01 08:00:00', '2180-05-30 10:00:00', 1],
      [SUBJECT, 20000002, '2180-05-01 08:00:00', '', 1],
    ] as const
    const { of } = await derived({ images: [image('a')], patients: [WOMAN], admissions })
    expect(words(of.get('a'))?.mortality).toBe('alive')
  })
})

describe('days of an ICU stay', () => {
  it.each([
    ['20800101', 'not_icu'],
    ['21800503', 'icu'],
    ['21800506', 'icu'],
    ['21800507', 'not_icu'],
    ['21800601', 'icu'],
    ['21800602', 'not_icu'],
  ])('StudyDate %s: %s', async (date, expected) => {
    const icustays = [
      [SUBJECT, '2180-05-03 23:59:00', '2180-05-06 00:01:00'],
      [SUBJECT, '2180-06-01 10:00:00', '2180-06-01 18:00:00'],
    ] as const
    const { of } = await derived({ images: [image('a', { date })], patients: [WOMAN], icustays })
    expect(words(of.get('a'))?.icu).toBe(expected)
  })
})

it.each([
  ['21800101', 60],
  ['21801231', 60],
  ['21400101', 20],
  ['21450101', 25],
  ['22100101', 90],
  ['22110101', 91],
  ['21360101', 16],
  ['22200101', 100],
  ['21350101', Number.NaN],
  ['22210101', Number.NaN],
])('a woman of 60 in 2180 is, by the year of %s, %d', async (date, age) => {
  const { of, notes } = await derived({ images: [image('a', { date })], patients: [WOMAN] })
  expect(of.get('a')?.age).toBe(age)
  expect(notes['impossible ages']).toBe(Number.isNaN(age) ? 1 : 0)
})

it('views and positions: rare views go, missing ones stay, other positions are missing', async () => {
  const images = [
    ...['PA', 'AP', 'LATERAL', 'LL', '', 'LAO', 'XTABLE LATERAL', 'AP LLD'].map((view, at) => image(`v${at}`, { view })),
    ...['Erect', 'Recumbent', '', 'Semi-erect'].map((position, at) => image(`p${at}`, { position })),
  ]
  const { of, notes } = await derived({ images, patients: [WOMAN] })
  const views = images.slice(0, 8).map(({ dicom }) => words(of.get(dicom))?.view)
  expect(views).toEqual(['PA', 'AP', 'LATERAL', 'LL', null, undefined, undefined, undefined])
  expect(images.slice(8).map(({ dicom }) => words(of.get(dicom))?.position)).toEqual(['Erect', 'Recumbent', null, null])
  expect(notes['images of rare views left out']).toBe(3)
})

it('patients without sex, or that MIMIC-IV lacks, are left out; without MIMIC-IV nobody is', async () => {
  const images = [
    image('a'),
    image('b', { subject: SUBJECT + 1, study: 50000002 }),
    image('c', { subject: SUBJECT + 2, study: 50000003 }),
  ]
  const patients = [WOMAN, [SUBJECT + 1, '', 40, 2180]] as const
  const whole = await derived({ images, patients })
  expect([...whole.of.keys()]).toEqual(['a'])
  expect(whole.notes['images of patients without sex left out']).toBe(2)
  const alone = await derived({ images, patients }, null)
  expect([...alone.of.keys()]).toEqual(['a', 'b', 'c'])
  expect(words(alone.of.get('a'))).toEqual({ sex: null, age: Number.NaN, view: 'PA', position: null, mortality: null, icu: null })
})

it('an X-ray without a date has neither age nor stay', async () => {
  const admissions = [[SUBJECT, 20000001, '2180-05-01 08:00:00', '2180-05-30 10:00:00', 1]] as const
  const { of } = await derived({ images: [image('a', { date: '' })], patients: [WOMAN], admissions })
  expect(words(of.get('a'))).toMatchObject({ sex: 'female', age: Number.NaN, mortality: null, icu: null })
})

type Cells = Record<string, string>

/** An independent reading: these tables have no quoted cells. */
async function demoTable(file: string): Promise<Cells[]> {
  const [header, ...lines] = (await readFile(join(DEMO, file), 'utf8')).trim().split('\n')
  const names = header!.split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, at) => [names[at]!, cell])))
}

const compact = (day: string) => day.replaceAll('-', '')
const plusDays = (day: string, days: number) =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)

it.skipIf(!hasDemo)('agrees with a plain reading of the real MIMIC-IV demo tables (skipped without shared/data)', async () => {
  const [patients, admissions, stays] = await Promise.all(
    ['hosp/patients.csv', 'hosp/admissions.csv', 'icu/icustays.csv'].map(demoTable),
  )
  const dayOf = (time: string) => time.slice(0, 10)
  // The edges of every stay and admission of every patient, a day to each side, and a date far away.
  const days = new Map(patients!.map((one) => [one.subject_id!, new Set([`${Number(one.anchor_year) + 3}-02-28`])]))
  const edges = [
    ...admissions!.map((one) => [one.subject_id!, one.admittime!, one.dischtime!]),
    ...stays!.map((one) => [one.subject_id!, one.intime!, one.outtime!]),
  ]
  for (const [subject, from, to] of edges) {
    for (const day of [dayOf(from!), dayOf(to!)]) for (const by of [-1, 0, 1]) days.get(subject!)!.add(plusDays(day, by))
  }
  const images = [...days].flatMap(([subject, all]) =>
    [...all].map(
      (day, at): MadeImage => ({
        dicom: `${subject}-${at}`,
        subject: Number(subject),
        study: Number(subject),
        date: compact(day),
      }),
    ),
  )
  expect(images.length).toBeGreaterThan(1000)
  const { of } = await derived({ images }, DEMO)
  const within = (day: string, from: string, to: string) => dayOf(from) <= day && day <= dayOf(to)
  let kept = 0
  let dead = 0
  let inIcu = 0
  for (const { dicom, subject, date } of images) {
    const day = `${date!.slice(0, 4)}-${date!.slice(4, 6)}-${date!.slice(6)}`
    const patient = patients!.find((one) => Number(one.subject_id) === subject)!
    const holding = admissions!
      .filter((one) => Number(one.subject_id) === subject && within(day, one.admittime!, one.dischtime!))
      .sort((a, b) => (a.admittime! < b.admittime! ? -1 : 1))
    const mortality = holding.at(-1)?.hospital_expire_flag === '1' ? 'died' : 'alive'
    const icu = stays!.some((one) => Number(one.subject_id) === subject && within(day, one.intime!, one.outtime!))
      ? 'icu'
      : 'not_icu'
    const years = Number(day.slice(0, 4)) - (Number(patient.anchor_year) - Number(patient.anchor_age))
    const age = years >= 16 && years <= 100 ? years : Number.NaN
    const sex = patient.gender === 'M' ? 'male' : 'female'
    expect(words(of.get(dicom)), dicom).toEqual({ sex, age, view: 'PA', position: null, mortality, icu })
    kept++
    if (mortality === 'died') dead++
    if (icu === 'icu') inIcu++
  }
  // The rules are exercised: neither outcome is rare.
  expect(kept).toBe(images.length)
  expect(Math.min(dead, inIcu)).toBeGreaterThan(20)
})
