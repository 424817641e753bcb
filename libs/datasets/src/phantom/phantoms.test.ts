import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openObjectStore } from '#libs/artifacts'
import { NO_DATASET_OPTIONS } from '#libs/experiments'
import {
  checkDataset,
  fingerprintDataset,
  makePhantomChexpert,
  makePhantomMimic,
  openPack,
  preparePack,
  readDataset,
} from '../index.ts'

const SIZE = { images: 60, patients: 40, seed: 3 }
const SPEC = {
  kind: 'prepare',
  dataset: 'p',
  sidePx: 32,
  fit: 'pad',
  onBrokenImage: 'fail',
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  validationFraction: 0.1,
  splitSeed: 1,
} as const

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'phantoms-'))
  await makePhantomMimic(join(home, 'mimic'), SIZE)
  await makePhantomChexpert(join(home, 'chexpert'), SIZE)
})
afterAll(() => rm(home, { recursive: true, force: true }))

const PHANTOMS = [
  { kind: 'mimic-cxr', folder: 'mimic', make: makePhantomMimic, known: { sex: 60, mortality: 60, position: 60 } },
  { kind: 'chexpert', folder: 'chexpert', make: makePhantomChexpert, known: { sex: 60, mortality: 0, position: 0 } },
] as const

describe.each(PHANTOMS)('the phantom of $kind', ({ kind, folder, make, known }) => {
  const address = (root = join(home, folder)) => {
    const mimicIv = kind === 'mimic-cxr' ? join(root, 'mimic-iv') : null
    return { kind, root, options: { ...NO_DATASET_OPTIONS, mimicIv } } as const
  }

  it('reads whole, in three splits, and is the same for the same numbers', async () => {
    const { records, notes } = await readDataset(address(), SPEC)
    expect(records).toHaveLength(60)
    expect(Object.values(notes).every((count) => count === 0)).toBe(true)
    expect(new Set(records.map((record) => record.patient)).size).toBe(40)
    expect(new Set(records.map((record) => record.split)).size).toBe(3)
    await make(join(home, `${folder}-again`), SIZE)
    expect(await readDataset(address(join(home, `${folder}-again`)), SPEC)).toEqual({
      records,
      notes,
      labelNames: expect.anything(),
    })
  })

  it('becomes a pack', async () => {
    const store = await openObjectStore(`file://${home}/store`)
    const fingerprint = await fingerprintDataset(address())
    const dataset = { ...address(), name: 'p', fingerprint }
    const runId = (kind === 'chexpert' ? 'c' : 'a').repeat(64)
    const request = { store, runId, semantics: 1, dataset, spec: SPEC, onProgress: () => {}, stopRequested: () => false }
    const { summary } = await preparePack(request)
    expect(summary).toMatchObject({ images: 60, patients: 40, 'warning: no positive in test': expect.stringMatching('Fracture') })
    const pack = await openPack(store, runId, { semantics: 1, memoryBudgetBytes: 1 })
    // Padded at the sides, since the pictures are higher than wide.
    const pixels = await pack.image(7)
    expect([pixels[32 * 16], pixels[32 * 16 + 31]]).toEqual([0, 0])
    expect(pixels[32 * 16 + 16]).toBeGreaterThan(0)
  })

  it('is counted', async () => {
    const fingerprint = await fingerprintDataset(address())
    const check = await checkDataset({ ...address(), fingerprint })
    expect(check).toMatchObject({ problem: null, changed: false, images: 60, patients: 40, ehr: known })
    const sum = (of: (split: (typeof check.splits)[number]) => number) => check.splits.reduce((all, split) => all + of(split), 0)
    expect(sum(({ images }) => images)).toBe(60)
    expect(sum(({ patients }) => patients)).toBe(40)
    expect(sum(({ views }) => views.PA! + views.AP!)).toBe(60)
    const { records, labelNames } = await readDataset(address(), SPEC)
    for (const [at, label] of labelNames.entries()) {
      expect(sum(({ positives }) => positives[label]!)).toBe(records.filter(({ labels }) => labels[at] === 1).length)
    }
    expect(check.warnings.join()).toMatch(/no positive image among the \d+ of the test split: .*Fracture/)
    expect((await checkDataset({ ...address(), fingerprint: '0' })).changed).toBe(true)
  })

  it('is not counted where it cannot be read', async () => {
    const gone = await checkDataset({ ...address(join(home, 'nowhere')), fingerprint: '0' })
    expect(gone).toMatchObject({ images: 0, splits: [], problem: expect.stringMatching('cannot be read') })
  })
})
