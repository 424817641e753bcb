/** Whether an engine computes right on this device: three steps of a small MSN against numbers that are known. */
import { type MsnConfig, msnBatch, msnInitialState, msnScalars, msnTrainStep, type StateArrays } from '#libs/msn'
import { SelfCheckError } from '../errors.ts'
import type { Executor } from '../executor.ts'

/** Every part of a pretraining step, at sizes where it takes no time. */
const CONFIG: MsnConfig = {
  backbone: { dim: 24, depth: 2, heads: 3, mlpRatio: 4, patchPx: 4, imagePx: 16, layerNormEps: 1e-6 },
  ehr: { width: 3, embedDim: 8 },
  views: { focalCount: 2, focalPx: 8 },
  normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  mask: { random: 0.25, focal: 0.25, shared: false },
  head: { hiddenDim: 32, outDim: 16, hiddenBias: false, bnGroups: 'joint' },
  prototypes: { count: 8, trainable: false },
  loss: { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 },
  target: { momentum: [0.9, 0.9], momentumStretch: 1, apply: 'before-forward' },
  optimiser: {
    lr: { start: 1e-3, peak: 1e-3, final: 0, warmupEpochs: 0, stretch: 1, granularity: 'epoch' },
    weightDecay: { start: 1e-2, final: 1e-2, skip1d: false },
    betas: [0.9, 0.999],
    eps: 1e-8,
    clipNorm: null,
  },
  epochs: 1,
}
const IMAGES = 4
const STEPS = 3

/** What the eager engine computes, which meets the published numbers: losses of the steps, then sums of squares of the state. */
export const KNOWN = { losses: [3.728236, 3.225437, 3.0527], online: 272.9643, target: 261.571 } as const

/** Relative; float32 on any device stays well under the first. */
const TOLERANCE = { float32: 1e-4, bfloat16: 0.05 } as const

/** One uniform stream in [0, 1) for each key, a linear congruence (Numerical Recipes). */
function drawsFor(key: string): () => number {
  let state = 2166136261
  for (const character of key) state = Math.imul(state ^ character.charCodeAt(0), 16777619) >>> 0
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function batchOf(step: number): Record<string, Float32Array> {
  const noise = (name: string, length: number, scale: number): Float32Array => {
    const next = drawsFor(`${name} ${step}`)
    return Float32Array.from({ length }, () => scale * next())
  }
  const grey = (name: string, rows: number, sidePx: number) => ({ rows, sidePx, data: noise(name, rows * sidePx ** 2, 255) })
  const { views, backbone } = CONFIG
  return msnBatch(CONFIG, {
    target: grey('target', IMAGES, backbone.imagePx),
    random: grey('random', IMAGES, backbone.imagePx),
    focal: grey('focal', IMAGES * views.focalCount, views.focalPx),
    ehr: noise('ehr', IMAGES * 3, 1),
    maskDraws: (sample, view) => drawsFor(`mask ${step} ${sample} ${view}`),
  })
}

function sumOfSquares(state: StateArrays, prefix: string): number {
  let sum = 0
  for (const [name, values] of Object.entries(state)) {
    if (name.startsWith(prefix)) for (const value of values) sum += value * value
  }
  return sum
}

/** What the executor computes in place of {@link KNOWN}. */
export async function selfCheckNumbers(executor: Executor): Promise<{ losses: number[]; online: number; target: number }> {
  const session = await executor.load(msnTrainStep(CONFIG, IMAGES), msnInitialState(CONFIG, drawsFor))
  try {
    const losses: number[] = []
    for (let step = 0; step < STEPS; step++) {
      const scalars = msnScalars(CONFIG, { step, epoch: 0, stepsPerEpoch: STEPS })
      losses.push((await session.run(batchOf(step), scalars)).loss![0]!)
    }
    const state = session.readState()
    return { losses, online: sumOfSquares(state, 'online.'), target: sumOfSquares(state, 'target.') }
  } finally {
    await session.dispose()
  }
}

/** @throws SelfCheckError naming the number that is wrong */
export async function selfCheck(executor: Executor, precision: 'float32' | 'bfloat16' = 'float32'): Promise<void> {
  const { losses, online, target } = await selfCheckNumbers(executor)
  const compare = (what: string, value: number, known: number): void => {
    // Written so that NaN fails.
    if (!(Math.abs(value - known) <= TOLERANCE[precision] * Math.abs(known)))
      throw new SelfCheckError(executor.name, precision, what, value, known)
  }
  for (const [step, loss] of losses.entries()) compare(`the loss of step ${step}`, loss, KNOWN.losses[step]!)
  compare('the sum of squares of the trained state', online, KNOWN.online)
  compare('the sum of squares of the averaged state', target, KNOWN.target)
}
