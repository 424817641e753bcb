/** One view of a pretraining: affine (optional), RandomResizedCrop, flip, colour jitter and blur (optional). */
import type { ViewGroup } from '#libs/experiments'
import type { Uniform } from '#libs/training'
import { applyAffine, drawAffine } from './affine.ts'
import { randomBlur } from './blur.ts'
import type { GreyImage } from './grey-image.ts'
import { jitter } from './jitter.ts'
import { randomCropBox } from './random-crop.ts'
import { resample } from './resample.ts'

/**
 * Writes the view, [sidePx * sidePx] grey levels, to `out` from `offset` on. Pure in (image, group, uniform). `group.greyscale`
 * has nothing to do: a grey picture repeated to three channels is its own greyscale.
 */
export function pretrainView(image: GreyImage, group: ViewGroup, uniform: Uniform, out: Float32Array, offset: number): void {
  const { sidePx, scale, ratio } = group
  const moved = group.affine ? applyAffine(image, drawAffine(group.affine, image.sidePx, uniform)) : image
  const box = randomCropBox(image.sidePx, scale, ratio, uniform)
  const flip = uniform() < group.flip
  resample(moved, box, sidePx, out, offset, flip)
  const pixels = out.subarray(offset, offset + sidePx * sidePx)
  if (group.colourJitter > 0) jitter(pixels, group.colourJitter, uniform)
  if (group.blur > 0) randomBlur(pixels, sidePx, group.blur, uniform)
}
