/** Batches of views for pretraining, whatever its method. */
import { SPLITS, type TrainedPretrainSpec, type ViewGroup, viewPlan } from '#libs/experiments'
import {
  drawsOf,
  type GreyViews,
  type Pack,
  type PretrainDataSource,
  permutation,
  SpecError,
  type ViewBatch,
} from '#libs/training'
import type { GreyImage } from '../augmentation/grey-image.ts'
import { pretrainView } from '../augmentation/pretrain-view.ts'
import { ehrImages } from './ehr-vectors.ts'

function imagesFor(pack: Pack, spec: TrainedPretrainSpec): Int32Array {
  const all = Int32Array.from(pack.columns.split.keys())
  if (spec.pretrainOn === 'all') return all
  const train = SPLITS.indexOf('train')
  return all.filter((index) => pack.columns.split[index] === train)
}

/** @throws SpecError where fewer images are left than one batch takes. */
export async function pretrainSource(pack: Pack, spec: TrainedPretrainSpec): Promise<PretrainDataSource> {
  const chosen = imagesFor(pack, spec)
  const ehr = spec.method === 'msn' && spec.ehr ? ehrImages(pack, chosen, spec.ehr) : null
  const images = ehr?.images ?? chosen
  if (images.length < spec.batch) {
    throw new SpecError(`${images.length} images are fewer than one batch of ${spec.batch}`, { field: 'batch' })
  }
  const stepsPerEpoch = Math.floor(images.length / spec.batch)
  const orderOf = epochOrders(spec.seed, images.length)
  const plan = viewPlan(spec)
  const views = async (epoch: number, step: number): Promise<ViewBatch> => {
    if (step < 0 || step >= stepsPerEpoch) throw new RangeError(`step ${step} of an epoch of ${stepsPerEpoch}`)
    const places = orderOf(epoch).subarray(step * spec.batch, (step + 1) * spec.batch)
    const chosenImages = Array.from(places, (place) => images[place]!)
    const batch = await viewsOf(pack, chosenImages, plan, { seed: spec.seed, epoch })
    return { ...batch, ehr: ehr ? concatenated(Array.from(places, (place) => ehr.vectors[place]!)) : null }
  }
  return { images: images.length, batch: spec.batch, stepsPerEpoch, views }
}

/** Order of an epoch; the last one is kept, as steps come in order. */
function epochOrders(seed: number, count: number): (epoch: number) => Int32Array {
  let held: { epoch: number; order: Int32Array } | undefined
  return (epoch) => {
    if (held?.epoch !== epoch) held = { epoch, order: permutation(drawsOf({ seed, purpose: 'order', epoch }), count) }
    return held.order
  }
}

async function viewsOf(
  pack: Pack,
  indices: readonly number[],
  plan: readonly ViewGroup[],
  key: { readonly seed: number; readonly epoch: number },
): Promise<Omit<ViewBatch, 'ehr'>> {
  const pixels = await Promise.all(indices.map((index) => pack.image(index)))
  const images = pixels.map((data): GreyImage => ({ sidePx: pack.sidePx, data }))
  const sampleKeys = indices.map((index) => pack.sampleKey(index))
  const views: Record<string, GreyViews> = {}
  let firstView = 0
  for (const group of plan) {
    const { name, count, sidePx } = group
    const rows = count * images.length
    const data = new Float32Array(rows * sidePx * sidePx)
    for (let row = 0; row < rows; row++) {
      const sample = row % images.length
      const view = firstView + Math.floor(row / images.length)
      const uniform = drawsOf({ ...key, purpose: 'crop', sample: sampleKeys[sample]!, view })
      pretrainView(images[sample]!, group, uniform, data, row * sidePx * sidePx)
    }
    views[name] = { sidePx, rows, data }
    firstView += count
  }
  return { sampleKeys, views }
}

function concatenated(vectors: readonly Float32Array[]): Float32Array {
  const width = vectors[0]?.length ?? 0
  const out = new Float32Array(vectors.length * width)
  vectors.forEach((vector, row) => {
    out.set(vector, row * width)
  })
  return out
}
