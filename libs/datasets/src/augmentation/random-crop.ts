/** RandomResizedCrop's box (Szegedy et al. 2015, as torchvision draws it). */
import type { Uniform } from '#libs/training'
import type { CropBox } from './grey-image.ts'

const TRIES = 10

export type Range = readonly [number, number]

export const between = (uniform: Uniform, [low, high]: Range): number => low + (high - low) * uniform()
/** 0..count-1 */
const below = (uniform: Uniform, count: number): number => Math.floor(uniform() * count)

/**
 * A box of an area share in `scale` and a width/height ratio in `ratio` (log-uniform). Where ten tries do not fit, the largest
 * centred box whose ratio is allowed.
 */
export function randomCropBox(sidePx: number, scale: Range, ratio: Range, uniform: Uniform): CropBox {
  const logRatio: Range = [Math.log(ratio[0]), Math.log(ratio[1])]
  for (let i = 0; i < TRIES; i++) {
    const area = sidePx * sidePx * between(uniform, scale)
    const aspect = Math.exp(between(uniform, logRatio))
    const width = Math.round(Math.sqrt(area * aspect))
    const height = Math.round(Math.sqrt(area / aspect))
    if (width < 1 || height < 1 || width > sidePx || height > sidePx) continue
    return { top: below(uniform, sidePx - height + 1), left: below(uniform, sidePx - width + 1), height, width }
  }
  const width = ratio[1] < 1 ? Math.max(1, Math.round(sidePx * ratio[1])) : sidePx
  const height = ratio[0] > 1 ? Math.max(1, Math.round(sidePx / ratio[0])) : sidePx
  return { top: (sidePx - height) >> 1, left: (sidePx - width) >> 1, height, width }
}
