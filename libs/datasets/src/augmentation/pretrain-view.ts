/** One view of MSN pretraining: affine (optional), RandomResizedCrop, flip, colour jitter (optional). */
import type { MsnPretrainSpec } from '#libs/experiments'
import type { Uniform } from '#libs/training'
import { applyAffine, drawAffine } from './affine.ts'
import type { GreyImage } from './grey-image.ts'
import { jitter } from './jitter.ts'
import { type Range, randomCropBox } from './random-crop.ts'
import { resample } from './resample.ts'

/** Writes the view, [outPx * outPx] grey levels, to `out` from `offset` on. Pure in (image, views, uniform). */
export function pretrainView(
  image: GreyImage,
  views: MsnPretrainSpec['views'],
  scale: Range,
  outPx: number,
  uniform: Uniform,
  out: Float32Array,
  offset: number,
): void {
  const moved = views.affine ? applyAffine(image, drawAffine(views.affine, image.sidePx, uniform)) : image
  const box = randomCropBox(image.sidePx, scale, views.ratio, uniform)
  const flip = uniform() < views.flip
  resample(moved, box, outPx, out, offset, flip)
  if (views.colourJitter > 0) jitter(out.subarray(offset, offset + outPx * outPx), views.colourJitter, uniform)
}
