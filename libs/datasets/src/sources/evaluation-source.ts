/** Images and labels of the three splits for an evaluation. */
import { type EvaluateSpec, NO_AUGMENTATION, SPLITS, type Split, type TransferSpec } from '#libs/experiments'
import { drawsOf, type EvaluationDataSource, type EvaluationSplit, type GreyViews, type Pack, SpecError } from '#libs/training'
import { evaluationView } from '../augmentation/evaluation-view.ts'
import { labelFraction } from './label-fraction.ts'
import { labelMatrix } from './label-sets.ts'

/** @throws SpecError where a split is empty or images would be cut larger than they are resized. */
export async function evaluationSource(pack: Pack, spec: EvaluateSpec, imagePx: number): Promise<EvaluationDataSource> {
  const source = (split: Split, images: Int32Array) => evaluationSplit(pack, spec, imagePx, split, images)
  return {
    train: source('train', labelFraction(pack, imagesOf(pack, 'train'), spec)),
    validation: source('validation', imagesOf(pack, 'validation')),
    test: source('test', imagesOf(pack, 'test')),
  }
}

/** The test split for a classifier that was trained elsewhere. @throws SpecError as evaluationSource does */
export async function transferSource(pack: Pack, spec: TransferSpec, imagePx: number): Promise<EvaluationSplit> {
  return evaluationSplit(pack, { ...spec, augmentation: NO_AUGMENTATION }, imagePx, 'test', imagesOf(pack, 'test'))
}

function imagesOf(pack: Pack, split: Split): Int32Array {
  const code = SPLITS.indexOf(split)
  return Int32Array.from(pack.columns.split.keys()).filter((index) => pack.columns.split[index] === code)
}

type SplitOptions = Pick<EvaluateSpec, 'labels' | 'seed' | 'resizePx' | 'augmentation'>

function evaluationSplit(pack: Pack, spec: SplitOptions, imagePx: number, split: Split, images: Int32Array): EvaluationSplit {
  if (imagePx > spec.resizePx) {
    throw new SpecError(`images of ${spec.resizePx} px cannot be cropped to ${imagePx} px`, { field: 'resizePx' })
  }
  if (images.length === 0) throw new SpecError(`the ${split} split has no image`)
  const { names, rowOf } = labelMatrix(pack, spec.labels)
  const labels = new Uint8Array(images.length * names.length)
  images.forEach((index, row) => {
    labels.set(rowOf(index), row * names.length)
  })
  const sampleKeys = Array.from(images, (index) => pack.sampleKey(index))
  const uniformOf = (place: number, epoch: number | null) =>
    epoch === null ? null : drawsOf({ seed: spec.seed, purpose: 'evaluate-view', epoch, sample: sampleKeys[place]! })
  const views = async (places: Int32Array, epoch: number | null): Promise<GreyViews> => {
    const data = new Float32Array(places.length * imagePx * imagePx)
    const pixels = await Promise.all(Array.from(places, (place) => pack.image(imageAt(images, place))))
    places.forEach((place, row) => {
      const image = { sidePx: pack.sidePx, data: pixels[row]! }
      evaluationView(image, spec, imagePx, uniformOf(place, epoch), data, row * imagePx * imagePx)
    })
    return { sidePx: imagePx, rows: places.length, data }
  }
  const patients = images.map((index) => pack.columns.patient[index]!)
  return { split, images: images.length, labelNames: names, labels, patients, sampleKeys, views }
}

function imageAt(images: Int32Array, place: number): number {
  const index = images[place]
  if (index === undefined) throw new RangeError(`image ${place} of a split of ${images.length}`)
  return index
}
