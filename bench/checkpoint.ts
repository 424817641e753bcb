/**
 * npm run bench -- checkpoint [--rounds N] [--threads N] [--cadence SECONDS]
 *
 * What a checkpoint of ViT-Small (MSN, all state) costs: how long the thread that trains stands still, how long the whole write
 * takes, and how much slower the steps are meanwhile. Rounds alternate between training alone and training with a write on its way.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { createCheckpointStore, openObjectStore, threadedStateWriter } from '#libs/artifacts'
import { createExecutor, type Session } from '#libs/engine'
import { resolvePretrain } from '#libs/experiments'
import { msnLearner, type NamedTensors, type PretrainLearner } from '#libs/training'

const RUN = 'be'.repeat(32)
const MIB = 2 ** 20

function learnerOf(preset: 'paper' | 'tiny-cpu', backbone: 'vit-small' | 'vit-tiny', batch: number): PretrainLearner {
  const choice = { dataset: 'bench', seed: 24, backbone, ehr: null } as const
  const { spec, problems } = resolvePretrain('msn', preset, choice, { pretrain: { batch } })
  if (spec?.method !== 'msn') throw new Error(JSON.stringify(problems))
  return msnLearner(spec)
}

/** Steps of a small MSN, for as long as `going` says; their mean milliseconds. */
async function train(session: Session, learner: PretrainLearner, going: () => boolean): Promise<{ steps: number; ms: number }> {
  const { signature } = learner.step
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1)
  const batch = Object.fromEntries(
    Object.entries(signature.batch).map(([name, shape]) => [
      name,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i)),
    ]),
  )
  const scalars = learner.scalars({ step: 0, epoch: 0, stepsPerEpoch: 10 })
  const begin = performance.now()
  let steps = 0
  while (going()) {
    await session.run(batch, scalars)
    steps++
    await new Promise(setImmediate)
  }
  return { steps, ms: (performance.now() - begin) / steps }
}

function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
    cadence: { type: 'string', default: '300' },
  },
})
const cadenceMs = Number(options.cadence) * 1000

const small = learnerOf('paper', 'vit-small', 64)
const shapes = small.step.signature.state
const state = small.initialState()
const stateBytes = Object.values(state).reduce((sum, { byteLength }) => sum + byteLength, 0)
const trained = learnerOf('tiny-cpu', 'vit-tiny', 8)
const session = await createExecutor('onnx', { threads: Number(options.threads) }).load(trained.step, trained.initialState())

const home = await mkdtemp(join(tmpdir(), 'cxrlab-bench-'))
const url = pathToFileURL(join(home, 'store')).href
const writer = threadedStateWriter(url)
const threaded = createCheckpointStore(await openObjectStore(url), RUN, 1, { writer })
const inline = createCheckpointStore(await openObjectStore(url), RUN, 1)

/** A copy of the whole state, as a session gives it. */
const copied = (): NamedTensors =>
  Object.fromEntries(Object.entries(state).map(([name, data]) => [name, { shape: shapes[name]!, data: data.slice() }]))
const samples = { copy: [], handOver: [], write: [], alone: [], meanwhile: [], inline: [] } as Record<string, number[]>
let step = 0

async function backgroundRound(): Promise<void> {
  const begin = performance.now()
  const tensors = copied()
  const copiedAt = performance.now()
  const saved = threaded.save({ step: ++step, meta: {}, tensors }, 'periodic')
  // The call itself runs to its first wait; the message to the thread leaves in the next turn.
  await new Promise(setImmediate)
  const handedAt = performance.now()
  let isDone = false
  const done = saved.then(() => {
    isDone = true
    return performance.now()
  })
  const { ms } = await train(session, trained, () => !isDone)
  samples.copy!.push(copiedAt - begin)
  samples.handOver!.push(handedAt - copiedAt)
  samples.write!.push((await done) - handedAt)
  samples.meanwhile!.push(ms)
  await threaded.collected()
}

try {
  await train(
    session,
    trained,
    (
      (left) => () =>
        left-- > 0
    )(3),
  )
  for (let round = 0; round < Number(options.rounds); round++) {
    const until = performance.now() + 1500
    samples.alone!.push((await train(session, trained, () => performance.now() < until)).ms)
    await backgroundRound()
    const tensors = copied()
    const begin = performance.now()
    await inline.save({ step: ++step, meta: {}, tensors }, 'periodic')
    samples.inline!.push(performance.now() - begin)
    await inline.collected()
  }
} finally {
  await writer.close()
  await session.dispose()
  await rm(home, { recursive: true, force: true })
}

const stall = median(samples.copy!) + median(samples.handOver!)
const slower = median(samples.meanwhile!) / median(samples.alone!) - 1
const write = median(samples.write!)
const lost = stall + Math.max(0, slower) * write
const table = new Table({ head: ['a checkpoint of ViT-Small, MSN, all state', 'median'], style: { head: [], border: [] } })
table.push(
  ['tensors, MiB', `${Object.keys(shapes).length}, ${(stateBytes / MIB).toFixed(0)}`],
  ['training stands still for the copy, ms', median(samples.copy!).toFixed(1)],
  ['and to hand it to the thread, ms', median(samples.handOver!).toFixed(1)],
  ['the whole write beside the training (check, hash, write, sync, manifest), ms', write.toFixed(0)],
  ['the same write in the thread that trains, ms', median(samples.inline!).toFixed(0)],
  [
    'a training step alone / while a write is on its way, ms',
    `${median(samples.alone!).toFixed(1)} / ${median(samples.meanwhile!).toFixed(1)}`,
  ],
  [`lost in ${options.cadence} s (stand-still + slower steps)`, `${((100 * lost) / cadenceMs).toFixed(3)} %`],
  [`of it stand-still`, `${((100 * stall) / cadenceMs).toFixed(3)} %`],
)
console.log(`${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${options.threads} threads, ${options.rounds} rounds`)
console.log(table.toString())
