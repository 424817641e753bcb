import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { artifactKey, type ObjectStore, openObjectStore } from '#libs/artifacts'
import { NO_DATASET_OPTIONS, presetBackbone, presetEvaluate, presetPretrain } from '#libs/experiments'
import { StoppedError } from '#libs/training'
import { type FittedImputation, fitPackFills } from '../imputation/pack-imputation.ts'
import { dataSources, fingerprintDataset, makePhantomNih, openPack, type PreparedPack, preparePack } from '../index.ts'

const SAMPLE = fileURLToPath(new URL('../../../../../shared/data/nih-chestxray14-sample', import.meta.url))
const hasSample = existsSync(SAMPLE)
if (!hasSample) console.warn('the real-image test is skipped: no folder shared/data/nih-chestxray14-sample beside the repository')
const PREPARE = {
  kind: 'prepare',
  dataset: 'p',
  sidePx: 64,
  fit: 'centre-crop',
  onBrokenImage: 'fail',
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  validationFraction: 0.1,
  splitSeed: 1,
} as const
const RUN = 'a'.repeat(64)
let home: string
let root: string
let store: ObjectStore

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'pack-'))
  root = join(home, 'phantom')
  await makePhantomNih(root, { images: 60, patients: 40, seed: 2 })
  store = await openObjectStore(`file://${home}/store`, {})
})
afterAll(() => rm(home, { recursive: true, force: true }))

async function request(runId: string, over: object = {}, at = root) {
  const address = { kind: 'nih14', root: at, options: NO_DATASET_OPTIONS } as const
  const dataset = { ...address, name: 'p', fingerprint: await fingerprintDataset(address) }
  return { store, runId, semantics: 1, dataset, spec: { ...PREPARE, ...over }, onProgress: () => {}, stopRequested: () => false }
}
/** The store, with a look at the key of each put. */
function watched(onPut: (key: string) => void): ObjectStore {
  return Object.assign(Object.create(store) as ObjectStore, {
    get: (key: string) => store.get(key),
    getRange: (key: string, start: number, length: number) => store.getRange(key, start, length),
    head: (key: string) => store.head(key),
    delete: (key: string) => store.delete(key),
    put: async (key: string, body: Uint8Array) => {
      onPut(key)
      return store.put(key, body)
    },
  })
}
const open = (runId: string) => openPack(store, runId, { semantics: 1, memoryBudgetBytes: 1 })

it('a pack gives back counts, and the same sources each time', async () => {
  const first = await preparePack(await request(RUN))
  expect(first.summary).toMatchObject({ images: 60, patients: 40 })
  expect(await preparePack(await request(RUN))).toEqual(first)
  const pack = await open(RUN)
  expect((await pack.image(59)).length).toBe(64 * 64)
  const backbone = presetBackbone('tiny-cpu', 'vit-tiny')
  const ehr = {
    variables: ['sex', 'age', 'view'],
    ageEncoding: 'bins10',
    embedDim: 8,
    impute: 'mode-by-other',
    imputeFitOn: 'train',
  } as const
  const spec = {
    ...presetPretrain('tiny-cpu', { dataset: 'p', seed: 5, backbone, ehr: null }),
    batch: 8,
    ehr: { ...ehr, variables: [...ehr.variables] },
  }
  const source = await dataSources.pretrain(pack, spec)
  const batch = await source.views(1, 2)
  expect(await (await dataSources.pretrain(pack, spec)).views(1, 2)).toEqual(batch)
  expect((await source.views(2, 2)).sampleKeys).not.toEqual(batch.sampleKeys)
  expect(batch.views.focal?.rows).toBe(16)
  await expect(dataSources.pretrain(pack, { ...spec, batch: 1000 })).rejects.toThrow('fewer than one batch')
  const evaluation = {
    ...presetEvaluate('tiny-cpu', { dataset: 'p', seed: 5 } as never),
    labels: 'sex',
    labelFraction: 0.5,
  } as never
  const { train, test } = await dataSources.evaluation(pack, evaluation, backbone.imagePx)
  expect(train.labelNames).toEqual(['male'])
  expect(train.patients.some((one) => test.patients.includes(one))).toBe(false)
})

it('keeps what gaps are filled with, and which images that was fitted on', async () => {
  const run = '6'.repeat(64)
  await preparePack(await request(run))
  const pack = await open(run)
  const kept = JSON.parse((await store.get(artifactKey(run, 'pack/imputation.json'))).toString()) as Record<
    string,
    FittedImputation
  >
  const train = Array.from(pack.columns.split.keys()).filter((row) => pack.columns.split[row] === 0)
  const keys = train.map((row) => `${pack.sampleKey(row)}\n`).join('')
  expect(kept.train).toMatchObject({ rows: train.length, rowsSha256: createHash('sha256').update(keys).digest('hex') })
  expect(kept.all?.rows).toBe(60)
  // The sources fill with the very same.
  expect(kept.train?.fills).toEqual(fitPackFills(pack.columns, 'train'))
  expect(kept.all?.fills).toEqual(fitPackFills(pack.columns, 'all'))
  expect(kept.all?.fills).not.toEqual(kept.train?.fills)
  const ages = train.map((row) => pack.columns.age[row]!)
  expect(kept.train?.fills.age.any).toBeCloseTo(ages.reduce((sum, age) => sum + age, 0) / ages.length, 10)
  expect(kept.train?.fills.position).toEqual({ any: null, byOthers: {} })
})

it('a stopped pack goes on, a changed data set and a damaged shard are refused', async () => {
  const run = 'b'.repeat(64)
  await expect(preparePack({ ...(await request(run)), stopRequested: () => true })).rejects.toThrow(StoppedError)
  await expect(open(run)).rejects.toThrow('no finished pack')
  const changed = await request(run)
  await expect(preparePack({ ...changed, dataset: { ...changed.dataset, fingerprint: '0' } })).rejects.toThrow('changed since')
  await preparePack(await request(run))
  await store.put(artifactKey(run, 'pack/shard-00000.u8'), new Uint8Array(60 * 64 * 64))
  await expect((await open(run)).image(0)).rejects.toThrow('SHA-256')
})

it('an attempt that was killed before the manifest leaves no pack, and the next one keeps its whole shards', async () => {
  const run = 'f'.repeat(64)
  const killed = watched((key) => {
    if (key.includes('index')) throw new Error('killed')
  })
  await expect(preparePack({ ...(await request(run)), store: killed })).rejects.toThrow('killed')
  await expect(open(run)).rejects.toThrow('no finished pack')
  const written: string[] = []
  const second = await preparePack({ ...(await request(run)), store: watched((key) => written.push(key)) })
  expect(written.map((key) => key.split('/').at(-1))).toEqual(['index.safetensors', 'imputation.json', 'manifest.json'])
  const untouched = await preparePack(await request('9'.repeat(64)))
  expect(second.summary).toEqual(untouched.summary)
  const hashes = (pack: PreparedPack) =>
    pack.artifacts.map(({ name, sha256 }) => (name.endsWith('manifest.json') ? name : sha256))
  expect(hashes(second)).toEqual(hashes(untouched))
})

it('a stop within a shard ends at once and keeps nothing of it', async () => {
  const run = '8'.repeat(64)
  let decoded = 0
  const stopping = { ...(await request(run)), onProgress: () => decoded++, stopRequested: () => decoded >= 10 }
  await expect(preparePack(stopping)).rejects.toThrow(StoppedError)
  expect(decoded).toBeLessThan(20)
  expect(await store.head(artifactKey(run, 'pack/shard-00000.u8'))).toBeUndefined()
})

it('a pack tells no id, age or file name of the data set in its manifest, keys and summary', async () => {
  const run = '7'.repeat(64)
  const { summary, artifacts } = await preparePack(await request(run))
  const manifest = await store.get(artifactKey(run, 'pack/manifest.json'))
  const index = await store.get(artifactKey(run, 'pack/index.safetensors'))
  for (const text of [manifest.toString(), index.toString('latin1'), JSON.stringify([summary, artifacts])]) {
    expect(text).not.toMatch(/\d{8}_\d{3}|\.png|Patient/)
  }
  const pack = await open(run)
  const keys = Array.from({ length: pack.count }, (_, i) => pack.sampleKey(i))
  expect(new Set(keys).size).toBe(60)
  expect(keys.every((key) => /^[0-9a-f]{32}$/.test(key))).toBe(true)
  // Codes follow hashes, not the table: patients of neighbouring rows have no neighbouring codes.
  expect(Array.from(pack.columns.patient)).not.toEqual(Array.from(pack.columns.patient).sort((a, b) => a - b))
  expect(new Set(pack.columns.patient).size).toBe(40)
})

it('a broken image fails by its path or is counted', async () => {
  const at = join(home, 'broken')
  await makePhantomNih(at, { images: 12, patients: 10, seed: 2 })
  await writeFile(join(at, 'images_001/images/00000003_000.png'), 'no image')
  const alpha = await sharp({ create: { width: 90, height: 50, channels: 4, background: '#808080' } })
    .png()
    .toBuffer()
  await writeFile(join(at, 'images_001/images/00000001_000.png'), alpha)
  await expect(preparePack(await request('c'.repeat(64), {}, at))).rejects.toThrow('images_001/images/00000003_000.png')
  const skipped = await preparePack(await request('d'.repeat(64), { onBrokenImage: 'skip' }, at))
  expect(skipped.summary).toMatchObject({
    images: 11,
    'broken images left out': 1,
    'broken images, the first': 'images_001/images/00000003_000.png',
  })
  expect((await store.get(artifactKey('d'.repeat(64), 'pack/manifest.json'))).toString()).not.toContain('00000003')
  const levels = await (await open('d'.repeat(64))).image(0)
  expect(levels.every((one) => Math.abs(one - 128) <= 1)).toBe(true)
})

it.skipIf(!hasSample)('621 real images make a pack (skipped without shared/data)', async () => {
  const { summary } = await preparePack(await request('e'.repeat(64), {}, SAMPLE))
  expect(summary).toMatchObject({ images: 621, 'split test': 154 })
  expect(Number(summary['split train']) + Number(summary['split validation'])).toBe(467)
  expect(summary).toMatchObject({ 'broken images left out': 0, 'impossible ages': 0 })
})
