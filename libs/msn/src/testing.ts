/** What this library's tests share: a mini configuration, reproducible draws and a bare eager runner. Not exported. */
import type { MsnConfig } from './config.ts'
import { dinoBatch } from './dino/batch.ts'
import type { DinoConfig } from './dino/config.ts'
import { maeBatch } from './mae/batch.ts'
import type { MaeConfig } from './mae/config.ts'
import type { Uniform } from './masks.ts'
import { msnBatch } from './msn-batch.ts'
import type { GreyImages } from './patches.ts'
import type { StateArrays, Step, TensorMap } from './step.ts'
import { tf } from './tf.ts'

/** A 32-bit linear congruence (Numerical Recipes), seeded by a text. */
export function drawsFor(key: string): Uniform {
  let state = 2166136261
  for (const character of key) state = Math.imul(state ^ character.charCodeAt(0), 16777619) >>> 0
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** 16 px images of four patches, two blocks of width 8, two focal anchors, EHR. */
export const miniConfig: MsnConfig = {
  backbone: { dim: 8, depth: 2, heads: 2, mlpRatio: 2, patchPx: 4, imagePx: 16, layerNormEps: 1e-6 },
  ehr: { width: 5, embedDim: 4 },
  views: { focalCount: 2, focalPx: 8 },
  normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  mask: { random: 0.25, focal: 0.25, shared: false },
  head: { hiddenDim: 12, outDim: 6, hiddenBias: false, bnGroups: 'joint' },
  prototypes: { count: 7, trainable: false },
  loss: { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 },
  target: { momentum: [0.9, 0.9], momentumStretch: 1, apply: 'before-forward' },
  optimiser: {
    lr: { start: 0, peak: 1e-3, final: 0, warmupEpochs: 0, stretch: 1, granularity: 'epoch' },
    weightDecay: { start: 1e-3, final: 1e-3, skip1d: false },
    betas: [0.9, 0.999],
    eps: 1e-8,
    clipNorm: null,
  },
  epochs: 4,
}

export function noiseImages(key: string, rows: number, sidePx: number): GreyImages {
  const uniform = drawsFor(key)
  return { rows, sidePx, data: Float32Array.from({ length: rows * sidePx * sidePx }, () => 255 * uniform()) }
}

/** A batch of noise for a configuration, another one for each key. */
export function noiseBatch(config: MsnConfig, batch: number, key: string): Record<string, Float32Array> {
  const { backbone, views, ehr } = config
  const uniform = drawsFor(`${key} ehr`)
  return msnBatch(config, {
    target: noiseImages(`${key} target`, batch, backbone.imagePx),
    random: noiseImages(`${key} random`, batch, backbone.imagePx),
    focal: views.focalCount > 0 ? noiseImages(`${key} focal`, batch * views.focalCount, views.focalPx) : null,
    ehr: ehr ? Float32Array.from({ length: batch * ehr.width }, () => Math.round(uniform())) : null,
    maskDraws: (sample, view) => drawsFor(`${key} mask ${sample} ${view}`),
  })
}

/** The images of miniConfig under DINO: two global views, three local ones, seven outputs, the last layer held for an epoch. */
export const miniDino: DinoConfig = {
  backbone: miniConfig.backbone,
  views: { globalCount: 2, localCount: 3, localPx: 8 },
  normalisation: miniConfig.normalisation,
  head: { hiddenDim: 12, bottleneckDim: 6, outDim: 7, frozenEpochs: 1 },
  loss: { studentTemperature: 0.1, teacherTemperature: 0.04, centreMomentum: 0.9 },
  target: { momentum: [0.9, 1], apply: 'after-update' },
  optimiser: miniConfig.optimiser,
  epochs: 4,
}

/** The same images under MAE: 6 of 16 patches kept. */
export const miniMae: MaeConfig = {
  backbone: miniConfig.backbone,
  normalisation: miniConfig.normalisation,
  mask: { image: 0.6 },
  decoder: { dim: 12, depth: 2, heads: 3, mlpRatio: 2 },
  normPixels: false,
  optimiser: miniConfig.optimiser,
  epochs: 4,
}

export function noiseDinoBatch(config: DinoConfig, batch: number, key: string): Record<string, Float32Array> {
  const { views, backbone } = config
  return dinoBatch(config, batch, {
    global: noiseImages(`${key} global`, batch * views.globalCount, backbone.imagePx),
    local: views.localCount > 0 ? noiseImages(`${key} local`, batch * views.localCount, views.localPx) : null,
  })
}

export function noiseMaeBatch(config: MaeConfig, batch: number, key: string): Record<string, Float32Array> {
  return maeBatch(config, noiseImages(`${key} image`, batch, config.backbone.imagePx), (sample) =>
    drawsFor(`${key} mask ${sample}`),
  )
}

/** The largest distance of two arrays' values. */
export const farthest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)

/** Kernels that every engine's lowering knows. */
export const LOWERED_KERNELS: readonly string[] = [
  ...['Add', 'Sub', 'Multiply', 'RealDiv', 'Maximum', 'Exp', 'Log', 'Sqrt', 'Rsqrt', 'Erf', 'Square', 'Sum', 'Mean', 'Max'],
  ...['Reshape', 'Transpose', 'BatchMatMul', 'Slice', 'PadV2', 'Concat', 'SplitV', 'Tile', 'Cast', 'Fill', 'GreaterEqual'],
  ...['Softmax', 'Identity'],
]

/** Kernels that `run` calls on the eager backend. */
export async function kernelsOf(run: () => unknown): Promise<string[]> {
  const profile = await tf.profile(() => {
    run()
    return tf.scalar(0)
  })
  // Scopes are profiled too, under names that are no kernels'.
  return profile.kernelNames.filter((name) => /^[A-Z]/.test(name))
}

/** One run of a step on plain arrays; `state` comes back whole, with what the step changed. */
export function runStep(
  step: Step,
  state: StateArrays,
  batch: Readonly<Record<string, Float32Array>>,
  scalars: Readonly<Record<string, number>> = {},
): { state: StateArrays; outputs: Record<string, Float32Array> } {
  const { signature } = step
  return tf.tidy(() => {
    const tensors = (arrays: Readonly<Record<string, Float32Array>>, shapes: typeof signature.state): TensorMap =>
      Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(arrays[name]!.slice(), [...shape])]))
    const numbers = Object.fromEntries(signature.scalars.map((name) => [name, tf.scalar(scalars[name]!)]))
    const result = step.run(tensors(state, signature.state), tensors(batch, signature.batch), numbers)
    const read = (map: TensorMap): Record<string, Float32Array> =>
      Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, Float32Array.from(tensor.dataSync())]))
    return { state: { ...state, ...read(result.state) }, outputs: read(result.outputs) }
    // The arrays are no tensors, so the tidy frees all that the step left.
  }) as unknown as { state: StateArrays; outputs: Record<string, Float32Array> }
}
