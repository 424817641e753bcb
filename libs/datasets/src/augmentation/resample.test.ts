import { expect, it } from 'vitest'
import { drawsOf } from '#libs/training'
import type { CropBox } from './grey-image.ts'
import { resample } from './resample.ts'

const SIDE = 40
const uniform = drawsOf({ seed: 1, purpose: 'test' })
const image = { sidePx: SIDE, data: Uint8Array.from({ length: SIDE * SIDE }, () => uniform() * 256) }

/** One output pixel as the definition says: triangle weights over both axes, normalised. */
function reference(box: CropBox, outPx: number, row: number, column: number): number {
  const weight = (input: number, out: number, at: number) => {
    const scale = input / outPx
    return Math.max(0, 1 - Math.abs(at + 0.5 - (out + 0.5) * scale) / Math.max(1, scale))
  }
  let sum = 0
  let total = 0
  for (let y = 0; y < box.height; y++)
    for (let x = 0; x < box.width; x++) {
      const both = weight(box.height, row, y) * weight(box.width, column, x)
      sum += both * image.data[(box.top + y) * SIDE + box.left + x]!
      total += both
    }
  return sum / total
}

it.each([
  [{ top: 3, left: 5, height: 31, width: 22 }, 9],
  [{ top: 30, left: 28, height: 7, width: 12 }, 25],
  [{ top: 0, left: 0, height: 40, width: 40 }, 40],
])('resampling %o to %i px is the triangle filter', (box, outPx) => {
  const out = new Float32Array(outPx * outPx)
  resample(image, box, outPx, out)
  out.forEach((value, i) => {
    expect(Math.abs(value - reference(box, outPx, Math.floor(i / outPx), i % outPx))).toBeLessThan(0.01)
  })
  const mirrored = new Float32Array(outPx * outPx)
  resample(image, box, outPx, mirrored, 0, true)
  expect(mirrored[0]).toBe(out[outPx - 1])
})
