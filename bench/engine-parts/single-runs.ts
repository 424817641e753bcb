/** What is measured once and needs no opponent: start-up, cold and from the program cache, and the memory of a large step. */
import type { EngineName } from '#libs/engine'
import { startEngine } from './duel.ts'
import type { EngineCase } from './engine-child.ts'

const START_UPS = 3

function caseOf(engine: EngineName, threads: number, rest: Partial<EngineCase>): EngineCase {
  return {
    ...{ engine, threads, step: 'msn-tiny', images: 16, microBatch: null, precision: 'float32', xla: 'off' },
    ...{ programCacheFolder: null, warmUp: 0 },
    ...rest,
  }
}

async function leastStartUpMs(given: EngineCase): Promise<number> {
  const all: number[] = []
  for (let i = 0; i < START_UPS; i++) {
    const peer = await startEngine(given)
    all.push(peer.ready.startUpMs)
    await peer.stop()
  }
  return Math.min(...all)
}

/** Trace, lower and load the whole MSN step, ViT-Tiny, batch 16: least of three fresh processes. */
export async function measureStartUp(threads: number, tensorflow: boolean, cacheFolder: string): Promise<void> {
  console.log('\nstart-up of the MSN step, ViT-Tiny, 12 views, batch 16: trace, lower, load; least of three processes')
  const seconds = (ms: number): string => `${(ms / 1e3).toFixed(1)} s`
  for (const microBatch of [null, 4]) {
    const step = microBatch === null ? 'whole batch' : `micro-batches of ${microBatch}`
    const cold = await leastStartUpMs(caseOf('onnx', threads, { microBatch }))
    // The first of these fills the cache; the least of them comes from it.
    const cached = await leastStartUpMs(caseOf('onnx', threads, { microBatch, programCacheFolder: cacheFolder }))
    console.log(`onnx, ${step}: ${seconds(cold)} cold (at most 20 s), ${seconds(cached)} from the program cache (at most 8 s)`)
    if (tensorflow) {
      const built = await leastStartUpMs(caseOf('tensorflow', threads, { microBatch }))
      console.log(`tensorflow, ${step}: ${seconds(built)} (at most 20 s)`)
    }
  }
}

/** Two steps of ViT-Small, 224 px, 12 views, batch 64, in micro-batches. */
export async function measureMemory(threads: number, tensorflow: boolean): Promise<void> {
  console.log('\nViT-Small, 224 px, 12 views, batch 64, in micro-batches of 16: two steps (at most 20 GiB)')
  for (const engine of tensorflow ? (['onnx', 'tensorflow'] as const) : (['onnx'] as const)) {
    const peer = await startEngine(caseOf(engine, threads, { step: 'msn-small', images: 64, microBatch: 16, warmUp: 1 }))
    const { ms } = await peer.sample('step')
    const peakMiB = Number(await peer.ask('peak'))
    console.log(`${engine}: peak ${(peakMiB / 1024).toFixed(1)} GiB resident, ${(ms / 1e3).toFixed(1)} s for the second step`)
    await peer.stop()
  }
}
