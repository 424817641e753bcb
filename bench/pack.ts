/**
 * npm run bench -- pack [images] [--rows N]: decodes made JPEG files of 2.5 megapixels into a pack and prints images a second and
 * core; then writes a pack of the true size of MIMIC-CXR-JPG (377,110 images; of its shards only those that are read) and prints
 * how long it takes to open, how fast images are read at random under a memory budget, and what memory the reader takes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openObjectStore } from '#libs/artifacts'
import { fingerprintDataset, makePhantomMimic, openPack, preparePack } from '#libs/datasets'
import { presetPrepare } from '#libs/experiments'
import { madePack } from './cohort-parts/made-pack.ts'

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: { rows: { type: 'string', default: '377110' } },
  allowPositionals: true,
})
const IMAGES = Number(positionals[0] ?? 300)
const ROWS = Number(values.rows)
/** 2.5 megapixels. */
const PICTURE = { widthPx: 1440, heightPx: 1740 }
const READS = 5000

function stopwatch(): () => { seconds: number; computing: number } {
  const [fromMs, from] = [performance.now(), process.cpuUsage()]
  return () => {
    const { user, system } = process.cpuUsage(from)
    return { seconds: (performance.now() - fromMs) / 1000, computing: (user + system) / 1e6 }
  }
}
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
/** Buffers that are held. */
function heldMb(): number {
  collectGarbage()
  return Math.round(process.memoryUsage().arrayBuffers / 2 ** 20)
}

async function decoding(home: string): Promise<void> {
  const root = join(home, 'phantom')
  await makePhantomMimic(root, { images: IMAGES, patients: Math.max(3, Math.floor(IMAGES / 2)), seed: 1, ...PICTURE })
  const store = await openObjectStore(`file://${home}/store`)
  const address = {
    kind: 'mimic-cxr',
    root,
    options: { mimicIv: join(root, 'mimic-iv'), split: null, splitRule: 'official' },
  } as const
  const dataset = { ...address, name: 'phantom', fingerprint: await fingerprintDataset(address) }
  const time = stopwatch()
  const request = { store, runId: 'a'.repeat(64), semantics: 1, dataset, spec: presetPrepare('paper', 'phantom') }
  await preparePack({ ...request, onProgress: () => {}, stopRequested: () => false })
  const { seconds, computing } = time()
  const megapixels = ((PICTURE.widthPx * PICTURE.heightPx) / 1e6).toFixed(1)
  console.log(
    `${IMAGES} JPEG files of ${megapixels} megapixels to 256 px: ${(IMAGES / seconds).toFixed(1)} images/s on ${availableParallelism()} cores`,
  )
  console.log(
    `  ${(IMAGES / computing).toFixed(1)} images a second of computing (a core), peak ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`,
  )
}

async function opening(home: string): Promise<void> {
  const store = await openObjectStore(`file://${home}/large`)
  const { runId, shardsThere } = await madePack(store, ROWS)
  const before = heldMb()
  const time = stopwatch()
  const memoryBudgetBytes = 256 * 2 ** 20
  const pack = await openPack(store, runId, { semantics: 1, memoryBudgetBytes })
  console.log(`pack of ${pack.count} images opened in ${time().seconds.toFixed(3)} s, ${heldMb() - before} MB held`)
  const reading = stopwatch()
  for (let i = 0; i < READS; i++) await pack.image(Math.floor((i * 7919) % (shardsThere * 1024)))
  const rate = READS / reading().seconds
  console.log(
    `${READS} images at random, one after the other: ${rate.toFixed(0)} images/s; budget 256 MB, ${heldMb() - before} MB held`,
  )
}

const home = mkdtempSync(join(tmpdir(), 'pack-'))
try {
  await decoding(home)
  await opening(home)
} finally {
  rmSync(home, { recursive: true, force: true })
}
