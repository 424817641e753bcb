/**
 * npm run bench -- engine [--threads N] [--rounds N]
 *
 * Milliseconds a training step of the ONNX engine, against the machine's own sgemm rate and, where BENCH_PYTHON (default
 * python3) can import torch, against the same step in PyTorch. Samples are interleaved: each round times every contender once,
 * so that a change of the machine's mood meets all of them.
 */
import { availableParallelism, cpus } from 'node:os'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { createExecutor, type Session } from '#libs/engine'
import { sgemmStep, type TimedStep, tinyMsnStep, vitTinyStep } from './engine-parts/steps.ts'
import { startTorchPeer, type TorchPeer } from './engine-parts/torch-peer.ts'

const VIT_IMAGES = 8
const MSN_IMAGES = 32
const SGEMM_SIZE = 1024
const WARM_UP_STEPS = 2

interface Contender {
  readonly timed: TimedStep
  readonly session: Session
  readonly startUpMs: number
  readonly samplesMs: number[]
  steps: number
}

async function load(timed: TimedStep, threads: number): Promise<Contender> {
  const begin = performance.now()
  const session = await createExecutor('onnx', { threads }).load(timed.step, timed.state)
  const contender = { timed, session, startUpMs: performance.now() - begin, samplesMs: [], steps: 0 }
  for (let i = 0; i < WARM_UP_STEPS; i++) await stepMs(contender)
  return contender
}

/** Mean milliseconds of `timed.repeats` steps in a row. */
async function stepMs(contender: Contender): Promise<number> {
  const { timed, session } = contender
  const begin = performance.now()
  for (let i = 0; i < timed.repeats; i++) await session.run(timed.batch, timed.scalars(contender.steps++))
  return (performance.now() - begin) / timed.repeats
}

function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function report(contenders: readonly Contender[], torch: { peer: TorchPeer; samplesMs: readonly number[] } | null): void {
  const [sgemm] = contenders
  const limit = sgemm!.timed.flops / median(sgemm!.samplesMs) / 1e6
  const table = new Table({
    head: ['step', 'ms median', 'ms least', 'images/s', 'GFLOP/s', 'of sgemm', 'start-up s'],
    style: { head: [], border: [] },
  })
  const row = (title: string, samples: readonly number[], flops: number, images: number, startUp: string): void => {
    const ms = median(samples)
    const rate = flops / ms / 1e6
    const share = `${Math.round((100 * rate) / limit)} %`
    table.push([
      title,
      ms.toFixed(1),
      Math.min(...samples).toFixed(1),
      images ? ((1e3 * images) / ms).toFixed(1) : '',
      rate.toFixed(0),
      share,
      startUp,
    ])
  }
  for (const { timed, samplesMs, startUpMs } of contenders) {
    row(timed.title, samplesMs, timed.flops, timed.images, (startUpMs / 1e3).toFixed(2))
  }
  const vit = contenders[1]!.timed
  if (torch) row(`the ViT-Tiny step in torch ${torch.peer.version}, eager`, torch.samplesMs, vit.flops, vit.images, '')
  console.log(table.toString())
  if (torch) {
    const ratios = contenders[1]!.samplesMs.map((ms, i) => ms / torch.samplesMs[i]!)
    console.log(`ONNX engine / torch, median of the rounds' ratios: ${median(ratios).toFixed(2)}`)
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { threads: { type: 'string' }, rounds: { type: 'string' } } })
  const threads = Number(values.threads ?? availableParallelism())
  const rounds = Math.max(7, Number(values.rounds ?? 7))
  console.log(`${cpus()[0]?.model ?? 'CPU'}, ${threads} threads, Node ${process.versions.node}, ${rounds} interleaved rounds`)
  const contenders: Contender[] = []
  for (const timed of [sgemmStep(SGEMM_SIZE), vitTinyStep(VIT_IMAGES), tinyMsnStep(MSN_IMAGES)]) {
    contenders.push(await load(timed, threads))
  }
  const started = await startTorchPeer(process.env.BENCH_PYTHON ?? 'python3', VIT_IMAGES, threads)
  const torch = 'absent' in started ? null : { peer: started, samplesMs: [] as number[] }
  if ('absent' in started) console.log(`no torch beside it (${started.absent})`)
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) contender.samplesMs.push(await stepMs(contender))
    if (torch) torch.samplesMs.push(await torch.peer.stepMs())
  }
  report(contenders, torch)
  await torch?.peer.stop()
  for (const { session } of contenders) await session.dispose()
  console.log(
    `peak resident memory of this process, all sessions loaded: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`,
  )
}

await main()
