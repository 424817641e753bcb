/** One step on every engine and in PyTorch, in interleaved rounds. */
import { fileURLToPath } from 'node:url'
import Table from 'cli-table3'
import type { EngineName } from '#libs/engine'
import type { EngineCase, EngineReady } from './engine-child.ts'
import { type Peer, startPeer } from './peer.ts'
import { type Sample, type Summary, summaryOf } from './processor-time.ts'
import type { CaseName } from './steps.ts'

export interface Duel {
  readonly title: string
  readonly step: CaseName
  readonly images: number
  readonly precision: 'float32' | 'bfloat16'
  readonly threads: number
  readonly rounds: number
  readonly tensorflow: boolean
  /** Python with torch; null: torch does not take part. */
  readonly python: string | null
  /** Most that an engine may take, as a share of the fastest torch variant whose name begins with `against`. */
  readonly limits: readonly { readonly engine: EngineName; readonly against: string; readonly most: number }[]
}

interface TorchReady {
  readonly version: string
  readonly variants: readonly string[]
  readonly peakMiB: Readonly<Record<string, number>>
  /** Variants that cannot run here, and why. */
  readonly leftOut: Readonly<Record<string, string>>
}

interface Contender {
  readonly title: string
  readonly peer: Peer<unknown>
  readonly request: string
  readonly samples: Sample[]
  readonly startUpMs: number | null
  peakMiB: number
}

export interface DuelResult {
  readonly duel: Duel
  readonly flops: number
  /** GFLOP a second of the machine's own matrix product, float32. */
  readonly limitRate: number
  readonly rows: readonly (Summary & { title: string; startUpMs: number | null; peakMiB: number })[]
  readonly notes: readonly string[]
}

const ENGINE_CHILD = fileURLToPath(new URL('./engine-child.ts', import.meta.url))
const TORCH_PEER = fileURLToPath(new URL('./torch_peer.py', import.meta.url))

/** A process of ours, or an error that says why there is none. */
export async function startEngine(given: EngineCase): Promise<Peer<EngineReady>> {
  const peer = await startPeer<EngineReady>(process.execPath, ['--import', 'tsx', ENGINE_CHILD, JSON.stringify(given)])
  if ('absent' in peer) throw new Error(`${given.engine}, ${given.step}: ${peer.absent}`)
  return peer
}

export async function duel(given: Duel): Promise<DuelResult> {
  const { step, images, precision, threads } = given
  const base: EngineCase = {
    ...{ step, images, precision, threads, microBatch: null, xla: 'off', programCacheFolder: null },
    ...{ engine: 'onnx', warmUp: 2 },
  }
  const sgemm = await startEngine({ ...base, step: 'sgemm', precision: 'float32' })
  const ours: EngineCase[] = precision === 'float32' ? [base] : []
  if (given.tensorflow) ours.push({ ...base, engine: 'tensorflow' })
  const contenders: Contender[] = []
  const notes: string[] = []
  const peers: Peer<unknown>[] = [sgemm]
  try {
    let flops = 0
    for (const each of ours) {
      const peer = await startEngine(each)
      peers.push(peer)
      flops = peer.ready.flops
      const { startUpMs } = peer.ready
      contenders.push({ title: each.engine, peer, request: 'step', samples: [], startUpMs, peakMiB: 0 })
    }
    contenders.push(...(await torchContenders(given, peers, notes)))
    const limit = await rounds(given.rounds, sgemm, contenders)
    for (const contender of contenders.filter(({ request }) => request === 'step')) {
      contender.peakMiB = Number(await contender.peer.ask('peak'))
    }
    const rows = contenders.map(({ title, startUpMs, peakMiB, samples }) => ({
      ...{ title, startUpMs, peakMiB },
      ...summaryOf(samples),
    }))
    return { duel: given, flops, limitRate: sgemm.ready.flops / summaryOf(limit).medianMs / 1e6, rows, notes }
  } finally {
    for (const peer of peers) await peer.stop()
  }
}

async function torchContenders(given: Duel, peers: Peer<unknown>[], notes: string[]): Promise<Contender[]> {
  const { python, step, images, threads, precision } = given
  if (python === null) return []
  const torch = await startPeer<TorchReady>(python, [TORCH_PEER, step, String(images), String(threads), precision])
  if ('absent' in torch) {
    notes.push(`no torch beside it (${torch.absent})`)
    return []
  }
  peers.push(torch)
  const { version, variants, peakMiB, leftOut } = torch.ready
  for (const [variant, reason] of Object.entries(leftOut)) notes.push(`torch ${variant}: ${reason}`)
  return variants.map((request) => {
    const title = `torch ${version} ${request}`
    return { title, peer: torch, request, samples: [], startUpMs: null, peakMiB: peakMiB[request] ?? 0 }
  })
}

/** Samples everyone once a round. @returns the samples of the matrix product */
async function rounds(count: number, sgemm: Peer<unknown>, contenders: readonly Contender[]): Promise<Sample[]> {
  const limit: Sample[] = []
  for (let round = 0; round < count; round++) {
    limit.push(await sgemm.sample('step'))
    for (const { peer, request, samples } of contenders) samples.push(await peer.sample(request))
  }
  return limit
}

export function printDuel({ duel, flops, limitRate, rows, notes }: DuelResult): void {
  console.log(`\n${duel.title}; the machine's own sgemm: ${limitRate.toFixed(0)} GFLOP/s`)
  const table = new Table({
    head: ['', 'ms median', 'least', 'images/s', 'of sgemm', 'start-up s', 'peak MiB', 'quiet samples'],
    style: { head: [], border: [] },
  })
  for (const { title, medianMs, leastMs, startUpMs, peakMiB, quiet, of } of rows) {
    table.push([
      title,
      medianMs.toFixed(0),
      leastMs.toFixed(0),
      ((1e3 * duel.images) / medianMs).toFixed(1),
      `${((100 * flops) / medianMs / 1e6 / limitRate).toFixed(0)} %`,
      startUpMs === null ? '' : (startUpMs / 1e3).toFixed(1),
      String(peakMiB),
      `${quiet} of ${of}`,
    ])
  }
  console.log(table.toString())
  for (const note of notes) console.log(note)
  for (const { engine, against, most } of duel.limits) {
    const mine = rows.find(({ title }) => title === engine)
    const theirs = rows.filter(({ title }) => title.startsWith('torch') && title.includes(` ${against}`))
    if (!mine || theirs.length === 0) continue
    const fastest = theirs.reduce((a, b) => (b.medianMs < a.medianMs ? b : a))
    const share = mine.medianMs / fastest.medianMs
    const word = share <= most ? 'reached' : 'NOT reached'
    console.log(`${engine} / ${fastest.title}: ${share.toFixed(2)} (at most ${most.toFixed(2)}: ${word})`)
  }
}
