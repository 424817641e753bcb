import { describe, expect, it } from 'vitest'
import {
  delong,
  erfc,
  holm,
  meanAndStd,
  normalTwoSidedQuantile,
  percentile,
  percentileInterval,
  twoSidedNormalP,
} from './index.ts'

describe('the normal distribution', () => {
  // Abramowitz & Stegun, table 7.1 and its continuation; Mathematica.
  it.each([
    [0, 1],
    [0.5, 0.4795001221869535],
    [1, 0.15729920705028513],
    [2, 0.004677734981047266],
    [3, 2.209049699858544e-5],
    [5, 1.5374597944280349e-12],
    [-1, 1.8427007929497148],
  ])('erfc(%s)', (x, expected) => {
    expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-12)
  })

  it.each([
    [0.5, 0.6744897501960817],
    [0.9, 1.6448536269514722],
    [0.95, 1.959963984540054],
    [0.99, 2.5758293035489004],
    [0.9999, 3.8905918864131213],
  ])('the two-sided quantile of %s', (confidence, expected) => {
    expect(normalTwoSidedQuantile(confidence)).toBeCloseTo(expected, 10)
    expect(twoSidedNormalP(expected)).toBeCloseTo(1 - confidence, 12)
  })
})

describe('delong', () => {
  it('has no variance with a single positive', () => {
    expect(delong([1, 0, 0, 0], [4, 1, 2, 3], [1, 2, 3, 4])).toBeNull()
  })

  it('leaves out ignored rows', () => {
    const [labels, first, second] = [
      [1, 0, 1, 0, 1, 0],
      [3, 1, 2, 2, 5, 4],
      [1, 2, 3, 4, 5, 6],
    ]
    expect(delong([...labels, 255], [...first, 9], [...second, -9])).toEqual(delong(labels, first, second))
  })

  it('widens its intervals with the confidence', () => {
    const run = (confidence: number) =>
      delong([1, 0, 1, 0, 1, 0], [3, 1, 2, 2, 5, 4], [1, 2, 3, 4, 5, 6], confidence)!.differenceInterval
    expect(run(0.99)[0]).toBeLessThan(run(0.9)[0])
  })

  it.each([
    ['a label that is neither 0, 1 nor 255', [1, 3], [1, 2], /neither/],
    ['an infinite score', [1, 0], [1, Number.POSITIVE_INFINITY], /finite/],
    ['unequal lengths', [1, 0, 1], [1, 2], /3 labels/],
  ])('refuses %s', (_, labels, scores, message) => {
    expect(() => delong(labels, scores, scores)).toThrow(message)
  })
})

describe('holm', () => {
  it('multiplies, keeps the order of p values and stops at 1', () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02])
    expect(holm([0.9, 0.8])).toEqual([1, 1])
    expect(holm([])).toEqual([])
  })

  it('refuses what is no probability', () => {
    expect(() => holm([0.1, 1.2])).toThrow(/outside/)
    expect(() => holm([Number.NaN])).toThrow(/outside/)
  })
})

describe('percentile', () => {
  it('interpolates between neighbours', () => {
    expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5)
    expect(percentileInterval([4, 1, 3, 2], 0.5)).toEqual([1.75, 3.25])
    expect(percentileInterval([], 0.95)).toBeNull()
  })

  it('refuses no values and quantiles outside 0..1', () => {
    expect(() => percentile([], 0.5)).toThrow(/no values/)
    expect(() => percentile([1], 1.1)).toThrow(/0..1/)
  })
})

describe('meanAndStd', () => {
  it('takes the sample deviation, and none of a single value', () => {
    expect(meanAndStd([1, 2, 3, 4])).toEqual({ mean: 2.5, std: Math.sqrt(5 / 3), count: 4 })
    expect(meanAndStd([7])).toEqual({ mean: 7, std: null, count: 1 })
    expect(() => meanAndStd([])).toThrow(/no values/)
  })
})
