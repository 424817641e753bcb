/** Gaussian blur of a square picture (SimCLR, Chen et al. 2020, appendix A). */
import type { Uniform } from '#libs/training'
import { between, type Range } from './random-crop.ts'

const SIGMAS: Range = [0.1, 2]
/** SimCLR's kernel is a tenth of the picture wide. */
const KERNEL_SHARE = 0.1

/** Rows while columns are still to be blurred; grows, and is used within one synchronous call only. */
let scratch = new Float32Array(0)

/** With `probability`, blurs `pixels` [sidePx * sidePx] in place by a sigma of .1 to 2 px. Draws two uniforms. */
export function randomBlur(pixels: Float32Array, sidePx: number, probability: number, uniform: Uniform): void {
  const applies = uniform() < probability
  const sigma = between(uniform, SIGMAS)
  if (applies) blur(pixels, sidePx, sigma)
}

/** Weights at distances 0..radius; both sides sum to 1. */
function kernelOf(sidePx: number, sigma: number): Float64Array {
  const radius = Math.max(1, Math.min(sidePx - 1, Math.round((KERNEL_SHARE * sidePx) / 2)))
  const weights = Float64Array.from({ length: radius + 1 }, (_, distance) => Math.exp(-0.5 * (distance / sigma) ** 2))
  const sum = weights.reduce((total, weight, distance) => total + (distance === 0 ? weight : 2 * weight), 0)
  return weights.map((weight) => weight / sum)
}

/** Convolution with a Gaussian cut off at a kernel of a tenth of the side; the picture is mirrored at its edges. In place. */
export function blur(pixels: Float32Array, sidePx: number, sigma: number): void {
  const kernel = kernelOf(sidePx, sigma)
  if (scratch.length < sidePx * sidePx) scratch = new Float32Array(sidePx * sidePx)
  for (let line = 0; line < sidePx; line++) blurLine(pixels, scratch, line * sidePx, 1, sidePx, kernel)
  for (let line = 0; line < sidePx; line++) blurLine(scratch, pixels, line, sidePx, sidePx, kernel)
}

/** `count` pixels from `first` on, `stride` apart. */
function blurLine(
  from: Float32Array,
  to: Float32Array,
  first: number,
  stride: number,
  count: number,
  kernel: Float64Array,
): void {
  for (let i = 0; i < count; i++) {
    let sum = from[first + i * stride]! * kernel[0]!
    for (let distance = 1; distance < kernel.length; distance++) {
      const before = Math.abs(i - distance)
      const after = count - 1 - Math.abs(count - 1 - i - distance)
      sum += kernel[distance]! * (from[first + before * stride]! + from[first + after * stride]!)
    }
    to[first + i * stride] = sum
  }
}
