/**
 * npm run bench -- cohort [images]: reads a made data set of the true size of MIMIC-CXR-JPG (377,110 images) with tables of the true
 * size of MIMIC-IV (300,000 patients, 430,000 admissions, 73,000 ICU stays), and prints how long the derivation takes and how
 * much memory the process needs. Everything is random; nothing of a real person is in it.
 */

import { fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeCohort } from './cohort-parts/make-cohort.ts'

const TRUE_IMAGES = 377_110

async function main(): Promise<void> {
  const images = Number(process.argv[2] ?? TRUE_IMAGES)
  const home = mkdtempSync(join(tmpdir(), 'cohort-'))
  try {
    const root = join(home, 'mimic')
    mkdirSync(root)
    const files = await makeCohort(root, images)
    for (const file of files) console.log(`${file}: ${(statSync(join(root, file)).size / 1e6).toFixed(1)} MB`)
    console.log(`${availableParallelism()} cores`)
    // A process of its own: the memory is that of the derivation, not of the making.
    await new Promise<void>((resolve, reject) => {
      const child = fork(fileURLToPath(new URL('./cohort-parts/derive.ts', import.meta.url)), [root])
      child.once('error', reject)
      child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`the derivation ended with ${code}`))))
    })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

await main()
