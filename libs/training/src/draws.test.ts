import { describe, expect, it } from 'vitest'
import { type DrawKey, drawsOf, normal, permutation } from './draws.ts'

const take = (key: DrawKey, count: number): number[] => {
  const uniform = drawsOf(key)
  return Array.from({ length: count }, uniform)
}

describe('keyed draws', () => {
  const key = { seed: 24, purpose: 'crop', epoch: 3, sample: 'ab12', view: 1 }

  it('give the same stream for the same key', () => {
    expect(take(key, 100)).toEqual(take({ ...key }, 100))
  })

  it.each(['seed', 'purpose', 'epoch', 'sample', 'view'] as const)('change with the %s', (field) => {
    const other = { ...key, [field]: typeof key[field] === 'number' ? (key[field] as number) + 1 : `${key[field]}x` }
    expect(take(other, 4)).not.toEqual(take(key, 4))
  })

  it('are uniform: mean, variance and lag correlation of 100,000 values', () => {
    const values = take(key, 100_000)
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length
    const lag = values.slice(1).reduce((a, b, i) => a + (b - mean) * (values[i]! - mean), 0) / values.length / variance
    expect(mean).toBeCloseTo(0.5, 2)
    expect(variance).toBeCloseTo(1 / 12, 2)
    expect(Math.abs(lag)).toBeLessThan(0.02)
  })

  it('of neighbouring keys are uncorrelated in their first value', () => {
    const firsts = Array.from({ length: 20_000 }, (_, epoch) => drawsOf({ ...key, epoch })())
    const mean = firsts.reduce((a, b) => a + b, 0) / firsts.length
    const lag = firsts.slice(1).reduce((a, b, i) => a + (b - mean) * (firsts[i]! - mean), 0) / firsts.length
    expect(mean).toBeCloseTo(0.5, 1)
    expect(Math.abs(lag * 12)).toBeLessThan(0.03)
  })

  it('permute every index exactly once, in every position over time', () => {
    const firsts = new Set<number>()
    for (let epoch = 0; epoch < 200; epoch++) {
      const order = permutation(drawsOf({ seed: 1, purpose: 'order', epoch }), 10)
      expect([...order].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      firsts.add(order[0]!)
    }
    expect(firsts.size).toBe(10)
  })

  it('give normal values of mean 0 and variance 1', () => {
    const uniform = drawsOf({ seed: 1, purpose: 'init' })
    const values = Array.from({ length: 50_000 }, () => normal(uniform))
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    expect(Math.abs(mean)).toBeLessThan(0.02)
    expect(values.reduce((a, b) => a + b * b, 0) / values.length).toBeCloseTo(1, 1)
  })
})
