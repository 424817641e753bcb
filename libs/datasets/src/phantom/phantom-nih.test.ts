import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NO_DATASET_OPTIONS } from '#libs/experiments'
import { fingerprintDataset } from '../fingerprint.ts'
import { readDataset } from '../read-dataset.ts'
import { drawChest, PHANTOM_SIDE_PX } from './draw-chest.ts'
import type { PhantomFilm } from './patients.ts'
import { makePhantomNih } from './phantom-nih.ts'

const nih = (root: string) => ({ kind: 'nih14', root, options: NO_DATASET_OPTIONS }) as const
let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'phantom-'))
})
afterAll(() => rm(home, { recursive: true }))

it('the same numbers give the same files, another seed gives others', async () => {
  for (const [name, seed] of [
    ['a', 5],
    ['b', 5],
    ['c', 6],
  ] as const)
    await makePhantomNih(join(home, name), { images: 30, patients: 12, seed })
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => fingerprintDataset(nih(join(home, name)))))
  expect(b).toBe(a)
  expect(c).not.toBe(a)
  const file = 'images_001/images/00000001_000.png'
  expect((await readFile(join(home, 'a', file))).equals(await readFile(join(home, 'b', file)))).toBe(true)
  const { records } = await readDataset(nih(join(home, 'a')), {
    dropAllZero: false,
    onBrokenImage: 'fail',
    includeNoFinding: true,
    uncertain: 'zeros',
    validationFraction: 0.2,
    splitSeed: 1,
  })
  expect(records).toHaveLength(30)
  expect(new Set(records.map((record) => record.patient)).size).toBe(12)
  expect(new Set(records.map((record) => record.split)).size).toBe(3)
})

it('leaves a folder of other files alone, and replaces another phantom', async () => {
  const other = join(home, 'other')
  await cp(join(home, 'a'), other, { recursive: true })
  await rm(join(other, 'phantom.json'))
  await expect(makePhantomNih(other, { images: 30, patients: 12, seed: 5 })).rejects.toThrow('holds other files')
  expect((await readdir(other)).includes('Data_Entry_2017.csv')).toBe(true)
  await writeFile(join(home, 'c', 'stray'), 'x')
  await makePhantomNih(join(home, 'c'), { images: 30, patients: 12, seed: 5 })
  expect(await fingerprintDataset(nih(join(home, 'c')))).toBe(await fingerprintDataset(nih(join(home, 'a'))))
})

it.each([
  { images: 2, patients: 2, seed: 1 },
  { images: 5, patients: 6, seed: 1 },
  { images: 5.5, patients: 3, seed: 1 },
])('refuses $images images of $patients patients', async (size) => {
  await expect(makePhantomNih(join(home, 'none'), size)).rejects.toThrow('three patients')
})

const FILM: PhantomFilm = { id: 'x', patient: 1, followUp: 0, male: true, age: 50, ap: false, findings: [], test: false }
/** Mean change of the picture where `over` changes the film, noise and position being the same. */
function change(over: Partial<PhantomFilm>, inside: (x: number, y: number) => boolean = () => true): number {
  const [plain, other] = [drawChest(FILM, 1), drawChest({ ...FILM, ...over }, 1)]
  let sum = 0
  let count = 0
  plain.forEach((value, i) => {
    if (!inside(i % PHANTOM_SIDE_PX, Math.floor(i / PHANTOM_SIDE_PX))) return
    sum += Math.abs(other[i]! - value)
    count++
  })
  return sum / count
}

it('sex, age, view and a wide heart change the picture where they should', () => {
  expect(change({}, () => true)).toBe(0)
  expect(change({ ap: true }, (x, y) => x > 217 && x < 239 && y > 19 && y < 33)).toBeGreaterThan(30)
  expect(change({ ap: true }, (x, y) => x < 30 && y < 30)).toBe(0)
  expect(change({ male: false }, (x, y) => x > 60 && x < 80 && y > 175 && y < 190)).toBeGreaterThan(10)
  expect(change({ age: 80 }, (x, y) => y > 50 && y < 200 && x > 40)).toBeGreaterThan(0.3)
  expect(change({ findings: ['Cardiomegaly'] }, (x, y) => x > 120 && x < 200 && y > 120 && y < 215)).toBeGreaterThan(5)
})

it.each(['Atelectasis', 'Effusion', 'Hernia', 'Mass', 'Nodule', 'Pneumothorax', 'Fibrosis'])('%s can be seen', (finding) => {
  // Positions and noise are drawn after the finding's own draws, so the picture of the same film differs all over by noise (about
  // 7 levels); a finding changes some region by far more.
  const [plain, other] = [drawChest(FILM, 1), drawChest({ ...FILM, findings: [finding] }, 1)]
  const blocks = new Float64Array(32 * 32)
  plain.forEach((value, i) => {
    blocks[Math.floor(Math.floor(i / 256) / 8) * 32 + Math.floor((i % 256) / 8)]! += (other[i]! - value) / 64
  })
  expect(Math.max(...blocks.map(Math.abs))).toBeGreaterThan(12)
})
