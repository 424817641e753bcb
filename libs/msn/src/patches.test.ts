import { describe, expect, it } from 'vitest'
import { MsnInputError } from './errors.ts'
import { patchesOfChannels, patchesOfGrey } from './patches.ts'
import { noiseImages } from './testing.ts'

const normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const

describe('patch vectors', () => {
  it('are flattened as (channel, y, x), patch after patch in row-major order', () => {
    // Each value says where it is: channel, then y, then x.
    const at = (channel: number, y: number, x: number): number => 100 * channel + 10 * y + x
    const data = new Float32Array(3 * 16)
    for (let channel = 0; channel < 3; channel++)
      for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) data[channel * 16 + y * 4 + x] = at(channel, y, x)
    const vectors = patchesOfChannels(data, 1, 4, 2, null)
    const patch = (top: number, left: number): number[] =>
      [0, 1, 2].flatMap((c) => [at(c, top, left), at(c, top, left + 1), at(c, top + 1, left), at(c, top + 1, left + 1)])
    expect([...vectors]).toEqual([...patch(0, 0), ...patch(0, 2), ...patch(2, 0), ...patch(2, 2)])
  })

  it('of grey images equal those of the image repeated to three channels and normalised', () => {
    const images = noiseImages('grey', 3, 12)
    const area = 144
    const channels = new Float32Array(3 * 3 * area)
    for (let row = 0; row < 3; row++)
      for (let c = 0; c < 3; c++)
        for (let i = 0; i < area; i++) {
          const level = images.data[row * area + i]! / 255
          channels[(row * 3 + c) * area + i] = (level - normalisation.mean[c]!) / normalisation.std[c]!
        }
    const ids = Int32Array.from([0, 5, 8, 1, 2, 3, 4, 6, 7])
    for (const kept of [null, ids]) {
      const grey = patchesOfGrey(images, 4, normalisation, kept)
      const expected = patchesOfChannels(channels, 3, 12, 4, kept)
      expect(grey).toHaveLength(expected.length)
      grey.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5)
      })
    }
  })

  it('of kept patches are those rows of all patches', () => {
    const images = noiseImages('kept', 2, 8)
    const all = patchesOfGrey(images, 4, normalisation, null)
    const kept = patchesOfGrey(images, 4, normalisation, Int32Array.from([3, 1, 0, 2]))
    const vector = (from: Float32Array, i: number): number[] => [...from.subarray(i * 48, (i + 1) * 48)]
    expect([0, 1, 2, 3].map((i) => vector(kept, i))).toEqual([3, 1, 4, 6].map((i) => vector(all, i)))
  })

  it('are refused where the data is not of the stated size', () => {
    const images = { ...noiseImages('short', 2, 8), rows: 3 }
    expect(() => patchesOfGrey(images, 4, normalisation, null)).toThrow(MsnInputError)
  })
})
