/**
 * Antialiased bilinear resampling of a crop, as Pillow's BILINEAR filter and torchvision's `antialias=True` define it: a triangle
 * whose support grows with the reduction, normalised at the edges. Separable: rows first, then columns.
 */
import type { CropBox, GreyImage } from './grey-image.ts'

/** Weights of one axis: output i is the sum of `weights[i * taps + t]` times input `starts[i] + t`. */
interface AxisWeights {
  readonly taps: number
  readonly starts: Int32Array
  readonly weights: Float32Array
}

const AXES_KEPT = 1024
const axes = new Map<number, AxisWeights>()
/** Rows of the crop at output width; grows, and is used within one synchronous call only. */
let scratch = new Float32Array(0)

function axisWeights(input: number, output: number): AxisWeights {
  const key = input * 65_536 + output
  const known = axes.get(key)
  if (known) return known
  const made = makeAxisWeights(input, output)
  if (axes.size >= AXES_KEPT) axes.clear()
  axes.set(key, made)
  return made
}

function makeAxisWeights(input: number, output: number): AxisWeights {
  const scale = input / output
  const filterScale = Math.max(scale, 1)
  const centre = (i: number) => (i + 0.5) * scale
  const starts = Int32Array.from({ length: output }, (_, i) => Math.max(0, Math.floor(centre(i) - filterScale + 0.5)))
  const ends = Int32Array.from({ length: output }, (_, i) => Math.min(input, Math.floor(centre(i) + filterScale + 0.5)))
  // The widest window and no more: each spare tap costs a multiplication a pixel.
  const taps = starts.reduce((widest, start, i) => Math.max(widest, ends[i]! - start), 1)
  const weights = new Float32Array(output * taps)
  for (let i = 0; i < output; i++) {
    // Windows are of one width: a narrower one begins further left, with weights of nothing, so that all stay inside the input.
    const first = Math.max(0, Math.min(starts[i]!, input - taps))
    const weightAt = (at: number) => triangle((at - centre(i) + 0.5) / filterScale)
    let sum = 0
    for (let at = starts[i]!; at < ends[i]!; at++) sum += weightAt(at)
    for (let at = starts[i]!; at < ends[i]!; at++) weights[i * taps + at - first] = weightAt(at) / sum
    starts[i] = first
  }
  return { taps, starts, weights }
}

const triangle = (x: number) => Math.max(0, 1 - Math.abs(x))

/**
 * Resamples `box` of an image to outPx x outPx and writes it to `out` from `offset` on.
 * @param flip mirrors the result left to right.
 */
export function resample(image: GreyImage, box: CropBox, outPx: number, out: Float32Array, offset = 0, flip = false): void {
  const across = axisWeights(box.width, outPx)
  const down = axisWeights(box.height, outPx)
  if (scratch.length < box.height * outPx) scratch = new Float32Array(box.height * outPx)
  resampleRows(image, box, across, outPx, flip)
  resampleColumns(down, outPx, out, offset)
}

function resampleRows({ data, sidePx }: GreyImage, box: CropBox, axis: AxisWeights, outPx: number, flip: boolean): void {
  const { taps, starts, weights } = axis
  for (let y = 0; y < box.height; y++) {
    const row = (box.top + y) * sidePx + box.left
    const target = y * outPx
    for (let x = 0; x < outPx; x++) {
      const first = row + starts[x]!
      const weight = x * taps
      let sum = 0
      for (let t = 0; t < taps; t++) sum += data[first + t]! * weights[weight + t]!
      scratch[target + (flip ? outPx - 1 - x : x)] = sum
    }
  }
}

function resampleColumns({ taps, starts, weights }: AxisWeights, outPx: number, out: Float32Array, offset: number): void {
  for (let y = 0; y < outPx; y++) {
    const target = offset + y * outPx
    out.fill(0, target, target + outPx)
    for (let t = 0; t < taps; t++) {
      const weight = weights[y * taps + t]!
      if (weight === 0) continue
      const row = (starts[y]! + t) * outPx
      for (let x = 0; x < outPx; x++) out[target + x] = out[target + x]! + weight * scratch[row + x]!
    }
  }
}
