/** One picture of an evaluation: resize, then (in training) flip and affine, then the middle. */
import type { EvaluateSpec } from '#libs/experiments'
import type { Uniform } from '#libs/training'
import { applyAffine, drawAffine } from './affine.ts'
import { centreBox, type GreyImage, wholeBox } from './grey-image.ts'
import { resample } from './resample.ts'

/** Writes [imagePx * imagePx] grey levels to `out` from `offset` on. @param uniform null: without augmentation. */
export function evaluationView(
  image: GreyImage,
  { resizePx, augmentation }: Pick<EvaluateSpec, 'resizePx' | 'augmentation'>,
  imagePx: number,
  uniform: Uniform | null,
  out: Float32Array,
  offset: number,
): void {
  const flip = uniform !== null && uniform() < augmentation.flip
  let resized: GreyImage = image
  if (flip || image.sidePx !== resizePx) {
    const data = new Float32Array(resizePx * resizePx)
    resample(image, wholeBox(image.sidePx), resizePx, data, 0, flip)
    resized = { sidePx: resizePx, data }
  }
  if (uniform !== null && augmentation.affine) resized = applyAffine(resized, drawAffine(augmentation.affine, resizePx, uniform))
  resample(resized, centreBox(resizePx, imagePx), imagePx, out, offset)
}
