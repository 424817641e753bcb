import { describe, expect, it } from 'vitest'
import { drawsOf } from '#libs/training'
import { drawAffine } from './affine.ts'
import { blur, randomBlur } from './blur.ts'
import { evaluationView } from './evaluation-view.ts'
import { jitter } from './jitter.ts'
import { pretrainView } from './pretrain-view.ts'
import { randomCropBox } from './random-crop.ts'

const SIDE = 64
/** Left half dark, right half bright, and brighter downwards. */
const image = {
  sidePx: SIDE,
  data: Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i % SIDE < SIDE / 2 ? 20 : 180) + (i >> 7)),
}
const VIEWS = {
  name: 'focal',
  count: 1,
  sidePx: 16,
  scale: [0.05, 0.3] as [number, number],
  ratio: [3 / 4, 4 / 3] as [number, number],
  flip: 0.5,
  affine: null,
  colourJitter: 0,
  blur: 0,
  greyscale: 0,
}
const draws = (sample: string) => drawsOf({ seed: 7, purpose: 'crop', epoch: 0, sample, view: 1 })

it('crop boxes stay inside, cover the asked share of the area and keep the asked ratio', () => {
  const shares: number[] = []
  for (let i = 0; i < 2000; i++) {
    const { top, left, width, height } = randomCropBox(256, [0.3, 1], [3 / 4, 4 / 3], draws(`box ${i}`))
    expect(top >= 0 && left >= 0 && top + height <= 256 && left + width <= 256).toBe(true)
    expect(width / height).toBeGreaterThan(0.74)
    expect(width / height).toBeLessThan(1.35)
    shares.push((width * height) / 256 ** 2)
  }
  expect(Math.min(...shares)).toBeGreaterThan(0.295)
  const mean = shares.reduce((sum, share) => sum + share) / shares.length
  // Uniform in .3 to 1 has mean .65; large boxes of a slanted ratio do not fit and are drawn again, which lowers it.
  expect(mean).toBeGreaterThan(0.58)
  expect(mean).toBeLessThan(0.65)
})

it('a box that never fits falls back to the largest centred one of an allowed ratio', () => {
  expect(randomCropBox(100, [1, 1], [2, 3], draws('x'))).toEqual({ top: 25, left: 0, width: 100, height: 50 })
  expect(randomCropBox(100, [1, 1], [1 / 3, 1 / 2], draws('x'))).toEqual({ top: 0, left: 25, width: 50, height: 100 })
})

it('a view is a pure function of image and draws, and writes its own place only', () => {
  const views = {
    ...VIEWS,
    affine: { degrees: 15, scale: [0.9, 1.1] as [number, number], translate: 0.1 },
    colourJitter: 0.5,
    blur: 0.5,
    greyscale: 0.2,
  }
  const make = (sample: string) => {
    const out = new Float32Array(3 * 16 * 16).fill(-1)
    pretrainView(image, views, draws(sample), out, 16 * 16)
    return out
  }
  const once = make('a')
  expect(make('a')).toEqual(once)
  expect(make('b')).not.toEqual(once)
  expect(once.subarray(0, 256).every((value) => value === -1)).toBe(true)
  expect(once.subarray(512).every((value) => value === -1)).toBe(true)
  expect(once.subarray(256, 512).every((value) => value >= 0 && value <= 255)).toBe(true)
})

it('flips as often as asked', () => {
  const whole = { ...VIEWS, sidePx: 8, scale: [1, 1] as [number, number], ratio: [1, 1] as [number, number], flip: 0.25 }
  const out = new Float32Array(SIDE * SIDE)
  let flipped = 0
  for (let i = 0; i < 2000; i++) {
    pretrainView(image, whole, draws(`flip ${i}`), out, 0)
    if (out[0]! > out[7]!) flipped++
  }
  // 2,000 draws of .25: five standard deviations are 97.
  expect(Math.abs(flipped - 500)).toBeLessThan(97)
})

it('affine draws stay in their ranges and shift by whole pixels', () => {
  for (let i = 0; i < 500; i++) {
    const { degrees, scale, shift } = drawAffine({ degrees: 15, scale: [0.9, 1.1], translate: 0.1 }, 200, draws(`affine ${i}`))
    expect(Math.abs(degrees)).toBeLessThanOrEqual(15)
    expect(scale >= 0.9 && scale <= 1.1).toBe(true)
    expect(shift.every((one) => Number.isInteger(one) && Math.abs(one) <= 20)).toBe(true)
  }
})

it('jitter leaves one view in five alone and keeps grey levels in range', () => {
  let untouched = 0
  for (let i = 0; i < 1000; i++) {
    const pixels = Float32Array.of(0, 100, 255)
    jitter(pixels, 0.5, draws(`jitter ${i}`))
    if (pixels[0] === 0 && pixels[1] === 100 && pixels[2] === 255) untouched++
    expect(pixels.every((value) => value >= 0 && value <= 255)).toBe(true)
  }
  // 1,000 draws of .2: five standard deviations are 63.
  expect(Math.abs(untouched - 200)).toBeLessThan(63)
})

it('jitter changes brightness and contrast in either order', () => {
  const strengths = Array.from({ length: 200 }, (_, i) => {
    const pixels = Float32Array.of(60, 100, 110)
    jitter(pixels, 0.3, draws(`order ${i}`))
    return pixels
  })
  // Contrast keeps the mean and brightness scales it, so in both orders the mean moves by the brightness alone.
  const ratios = strengths.map((pixels) => (pixels[0]! + pixels[1]! + pixels[2]!) / 270)
  expect(Math.min(...ratios)).toBeGreaterThanOrEqual(0.76 - 1e-6)
  expect(Math.max(...ratios)).toBeLessThanOrEqual(1.24 + 1e-6)
  expect(new Set(ratios.map((ratio) => ratio.toFixed(3))).size).toBeGreaterThan(100)
})

describe('blur', () => {
  it('spreads a point as the Gaussian it is, and keeps the sum', () => {
    const side = 41
    const pixels = new Float32Array(side * side)
    pixels[20 * side + 20] = 100
    blur(pixels, side, 0.6)
    const weight = (x: number, y: number) => Math.exp(-(x * x + y * y) / (2 * 0.36))
    let total = 0
    for (let y = -2; y <= 2; y++) for (let x = -2; x <= 2; x++) total += weight(x, y)
    for (let y = -2; y <= 2; y++)
      for (let x = -2; x <= 2; x++) expect(pixels[(20 + y) * side + 20 + x]).toBeCloseTo((100 * weight(x, y)) / total, 4)
    expect(pixels.reduce((sum, value) => sum + value, 0)).toBeCloseTo(100, 3)
  })

  it('mirrors the picture at its edges, so that an even picture stays as it is', () => {
    const pixels = new Float32Array(24 * 24).fill(77)
    blur(pixels, 24, 2)
    for (const value of pixels) expect(value).toBeCloseTo(77, 4)
    const edge = Float32Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0)
    blur(edge, 3, 1)
    const [near, far] = [1, Math.exp(-0.5)]
    expect(edge[0]).toBeCloseTo((3 * near * near) / (near + 2 * far) ** 2, 5)
  })

  it('happens as often as asked', () => {
    let blurred = 0
    for (let i = 0; i < 1000; i++) {
      const pixels = Float32Array.of(0, 0, 0, 0, 90, 0, 0, 0, 0)
      randomBlur(pixels, 3, 0.5, draws(`blur ${i}`))
      if (pixels[4] !== 90) blurred++
    }
    // A sigma below about .2 leaves a float32 as it was: 5 % of 500, beside five standard deviations of 79.
    expect(Math.abs(blurred - 487)).toBeLessThan(92)
  })
})

it('an evaluation picture without augmentation is the middle of the resized image', () => {
  const spec = {
    resizePx: SIDE,
    augmentation: { flip: 1, affine: { degrees: 45, scale: [0.85, 1.15] as [number, number], translate: 0.15 } },
  }
  const out = new Float32Array(48 * 48)
  evaluationView(image, spec, 48, null, out, 0)
  const middle = Array.from(out, (_, i) => image.data[(8 + Math.floor(i / 48)) * SIDE + 8 + (i % 48)]!)
  out.forEach((value, i) => {
    expect(value).toBeCloseTo(middle[i]!, 3)
  })
  evaluationView(image, { ...spec, augmentation: { flip: 1, affine: null } }, 48, draws('e'), out, 0)
  expect(out[0]).toBeCloseTo(image.data[8 * SIDE + SIDE - 1 - 8]!, 3)
})
