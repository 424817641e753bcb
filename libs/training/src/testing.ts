/** In-memory neighbours of the loops, for tests. */
import type { DinoPretrainSpec, EvaluateSpec, MaePretrainSpec, MsnPretrainSpec, TrainedPretrainSpec } from '#libs/experiments'
import { presetBackbone, presetDino, presetEvaluate, presetMae, presetPretrain, viewPlan } from '#libs/experiments'
import { drawsOf } from './draws.ts'
import type {
  CheckpointStore,
  EvaluationSplit,
  GreyViews,
  MetricPoint,
  MetricSink,
  PretrainDataSource,
  StoredCheckpoint,
} from './ports.ts'

/** A ViT of two blocks on 16 px images: one step takes milliseconds. */
const miniBackbone = { ...presetBackbone('tiny-cpu', 'vit-tiny'), dim: 24, depth: 2, heads: 2, imagePx: 16, patchPx: 8 }
const miniChoice = { dataset: 'made', seed: 5, backbone: miniBackbone, ehr: null }

export function miniDinoSpec(over: Partial<DinoPretrainSpec> = {}): DinoPretrainSpec {
  const spec = presetDino('tiny-cpu', miniChoice)
  return { ...spec, views: { ...spec.views, localPx: 8 }, batch: 8, epochs: 2, ...over }
}

export function miniMaeSpec(over: Partial<MaePretrainSpec> = {}): MaePretrainSpec {
  const spec = presetMae('tiny-cpu', miniChoice)
  return { ...spec, decoder: { dim: 16, depth: 1, heads: 2, mlpRatio: 2 }, batch: 8, epochs: 2, ...over }
}

export function miniSpec(over: Partial<MsnPretrainSpec> = {}): MsnPretrainSpec {
  const spec = presetPretrain('tiny-cpu', miniChoice)
  return {
    ...spec,
    views: { ...spec.views, focalCount: 1, focalPx: 8 },
    mask: { random: 0.25, focal: 0, shared: false },
    head: { ...spec.head, hiddenDim: 32, outDim: 24 },
    prototypes: { count: 8, trainable: true },
    batch: 8,
    epochs: 2,
    ...over,
  }
}

export function miniEvaluateSpec(over: Partial<EvaluateSpec> = {}): EvaluateSpec {
  const choice = { dataset: 'made', mode: 'linear-cached', labels: 'sex', labelFraction: 1, seed: 5 } as const
  const spec = presetEvaluate('tiny-cpu', choice)
  return { ...spec, batch: 8, epochs: 20, bootstrap: { ...spec.bootstrap, resamples: 20 }, ...over }
}

function noise(rows: number, sidePx: number, key: string, brightness: (row: number) => number = () => 0): GreyViews {
  const uniform = drawsOf({ seed: 1, purpose: key })
  const data = Float32Array.from({ length: rows * sidePx * sidePx }, (_, i) => {
    const row = Math.floor(i / (sidePx * sidePx))
    return 100 * uniform() + brightness(row)
  })
  return { sidePx, rows, data }
}

/** Views of noise, another one for each step. */
export function madeSource(spec: TrainedPretrainSpec, stepsPerEpoch: number): PretrainDataSource {
  const { batch } = spec
  const viewsAt = (at: string) =>
    Object.fromEntries(
      viewPlan(spec).map(({ name, count, sidePx }) => [name, noise(batch * count, sidePx, `${name} ${at}`)] as const),
    )
  return {
    images: batch * stepsPerEpoch,
    batch,
    stepsPerEpoch,
    views: async (epoch, step) => ({
      sampleKeys: Array.from({ length: batch }, (_, i) => `${step}-${i}`),
      views: viewsAt(`${epoch} ${step}`),
      ehr: null,
    }),
  }
}

/** A split whose label is brightness: linearly separable. One patient an image. */
export function madeSplit(split: EvaluationSplit['split'], images: number, sidePx: number): EvaluationSplit {
  const labels = Uint8Array.from({ length: images }, (_, i) => i % 2)
  const all = noise(images, sidePx, split, (row) => 100 * labels[row]!)
  return {
    split,
    images,
    labelNames: ['male'],
    labels,
    patients: Int32Array.from({ length: images }, (_, i) => i),
    sampleKeys: Array.from({ length: images }, (_, i) => `${split}-${i}`),
    views: async (indices) => {
      const size = sidePx * sidePx
      const data = new Float32Array(indices.length * size)
      indices.forEach((image, row) => {
        data.set(all.data.subarray(image * size, (image + 1) * size), row * size)
      })
      return { sidePx, rows: indices.length, data }
    },
  }
}

/** Keeps copies, as a store of bytes does. */
export function memoryCheckpoints(): CheckpointStore & { readonly saved: { role: string; checkpoint: StoredCheckpoint }[] } {
  const saved: { role: string; checkpoint: StoredCheckpoint }[] = []
  const copy = ({ step, meta, tensors }: StoredCheckpoint): StoredCheckpoint => ({
    step,
    meta: { ...meta },
    tensors: Object.fromEntries(Object.entries(tensors).map(([name, { shape, data }]) => [name, { shape, data: data.slice() }])),
  })
  return {
    saved,
    save: async (checkpoint, role) => {
      saved.push({ role, checkpoint: copy(checkpoint) })
      return { name: `${role}-${checkpoint.step}`, sha256: '0'.repeat(64), sizeBytes: 0 }
    },
    latest: async () => {
      const found = saved.filter(({ role }) => role === 'periodic').at(-1)
      return found && copy(found.checkpoint)
    },
    load: async (wanted) => {
      const found = saved.filter(({ role }) => role === wanted).at(-1)
      if (!found) throw new Error(`no ${wanted} checkpoint`)
      return copy(found.checkpoint)
    },
  }
}

export function memoryMetrics(): MetricSink & { readonly points: MetricPoint[] } {
  const points: MetricPoint[] = []
  return {
    points,
    record: (more) => {
      points.push(...more)
    },
    progress: () => undefined,
  }
}
