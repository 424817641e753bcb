/** RandomAffine: rotation, scale and shift about the centre, bilinear, black outside (torchvision's order and ranges). */
import type { ViewGroup } from '#libs/experiments'
import type { Uniform } from '#libs/training'
import type { GreyImage } from './grey-image.ts'
import { between } from './random-crop.ts'

export type AffineRanges = NonNullable<ViewGroup['affine']>

export interface Affine {
  /** Clockwise. */
  readonly degrees: number
  readonly scale: number
  /** Pixels, to the right and down. */
  readonly shift: readonly [number, number]
}

/** Angle, then shift (whole pixels), then scale. */
export function drawAffine(ranges: AffineRanges, sidePx: number, uniform: Uniform): Affine {
  const degrees = between(uniform, [-ranges.degrees, ranges.degrees])
  const reach = ranges.translate * sidePx
  const right = Math.round(between(uniform, [-reach, reach]))
  const down = Math.round(between(uniform, [-reach, reach]))
  return { degrees, scale: between(uniform, ranges.scale), shift: [right, down] }
}

/** Each output pixel looks up its source through the inverse map. */
export function applyAffine({ sidePx, data }: GreyImage, { degrees, scale, shift }: Affine): GreyImage {
  const out = new Float32Array(sidePx * sidePx)
  const angle = (degrees * Math.PI) / 180
  const cos = Math.cos(angle) / scale
  const sin = Math.sin(angle) / scale
  const centre = sidePx / 2 - 0.5
  for (let y = 0; y < sidePx; y++) {
    const dy = y - centre - shift[1]
    for (let x = 0; x < sidePx; x++) {
      const dx = x - centre - shift[0]
      out[y * sidePx + x] = bilinear(data, sidePx, cos * dx + sin * dy + centre, cos * dy - sin * dx + centre)
    }
  }
  return { sidePx, data: out }
}

function bilinear(data: GreyImage['data'], sidePx: number, x: number, y: number): number {
  const left = Math.floor(x)
  const top = Math.floor(y)
  if (left < -1 || top < -1 || left >= sidePx || top >= sidePx) return 0
  const fx = x - left
  const fy = y - top
  const at = top * sidePx + left
  const inLeft = left >= 0
  const inRight = left + 1 < sidePx
  let sum = 0
  if (top >= 0) {
    if (inLeft) sum += data[at]! * (1 - fx) * (1 - fy)
    if (inRight) sum += data[at + 1]! * fx * (1 - fy)
  }
  if (top + 1 < sidePx) {
    if (inLeft) sum += data[at + sidePx]! * (1 - fx) * fy
    if (inRight) sum += data[at + sidePx + 1]! * fx * fy
  }
  return sum
}
