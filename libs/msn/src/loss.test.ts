import { describe, expect, it } from 'vitest'
import { distinctShare, meanPairwiseCosine, meanRowEntropy, meanRowMax } from './diagnostics.ts'
import { msnLoss, sinkhorn, targetAssignments } from './loss.ts'
import { tf } from './tf.ts'

const config = { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 }
const sums = (rows: number[][]): number[] => rows.map((row) => row.reduce((a, b) => a + b, 0))

describe('targets', () => {
  it('have rows that sum to 1 and columns used about equally after many Sinkhorn iterations', () => {
    const t = tf.softmax(
      tf.tensor2d([
        [3, 0, 0, 1],
        [2, 0, 1, 0],
        [4, 1, 0, 0],
        [5, 0, 0, 2],
      ]),
    )
    const balanced = sinkhorn(t, 200).arraySync() as number[][]
    for (const sum of sums(balanced)) expect(sum).toBeCloseTo(1, 5)
    for (const sum of sums(balanced[0]!.map((_, k) => balanced.map((row) => row[k]!)))) expect(sum).toBeCloseTo(1, 4)
  })

  it('stay numbers where a prototype underflows to 0 for every target', () => {
    const columns = tf.tensor2d([
      [1, 0, 0],
      [1, 0, 0],
    ])
    expect(sums(sinkhorn(columns, 3).arraySync() as number[][])).toEqual([1, 1])
  })

  it('stay numbers with opposite prototypes, whose power of a softmax would underflow', () => {
    const z = tf.tensor2d([
      [1, 0],
      [1, 0.001],
    ])
    const prototypes = tf.tensor2d([
      [1, 0],
      [-1, 0],
      [0, 1],
    ])
    const t = targetAssignments(z, prototypes, { ...config, sharpening: 0.01 })
    expect([...t.dataSync()].every(Number.isFinite)).toBe(true)
    for (const sum of sums(t.arraySync() as number[][])) expect(sum).toBeCloseTo(1, 5)
  })
})

describe('the loss', () => {
  it('is 0 cross-entropy and log K me-max when everything has collapsed onto one prototype', () => {
    const prototypes = tf.tensor2d([
      [1, 0],
      [-1, 0],
    ])
    const z = tf.tensor2d([
      [1, 0],
      [1, 0],
    ])
    const t = tf.tensor2d([
      [1, 0],
      [1, 0],
    ])
    const { ce, memax, loss } = msnLoss(z, prototypes, t, { ...config, temperature: 0.01, meMaxWeight: 2 })
    expect(ce.dataSync()[0]).toBeCloseTo(0, 6)
    expect(memax.dataSync()[0]).toBeCloseTo(Math.log(2), 6)
    expect(loss.dataSync()[0]).toBeCloseTo(2 * Math.log(2), 6)
  })

  it('compares every view with the target of its own image', () => {
    const prototypes = tf.tensor2d([
      [1, 0],
      [0, 1],
    ])
    const t = tf.tensor2d([
      [1, 0],
      [0, 1],
    ])
    const agreeing = tf.tensor2d([
      [1, 0],
      [0, 1],
      [1, 0],
      [0, 1],
    ])
    const crossed = tf.tensor2d([
      [1, 0],
      [0, 1],
      [0, 1],
      [1, 0],
    ])
    expect(msnLoss(agreeing, prototypes, t, config).ce.dataSync()[0]).toBeLessThan(1e-3)
    expect(msnLoss(crossed, prototypes, t, config).ce.dataSync()[0]).toBeCloseTo(5, 2)
  })

  it('has finite gradients when a prototype is never used', () => {
    const prototypes = tf.tensor2d([
      [1, 0],
      [-1, 0],
    ])
    const t = tf.tensor2d([[1, 0]])
    const lossOf = (z: Parameters<typeof msnLoss>[0]) => msnLoss(z, prototypes, t, { ...config, temperature: 0.001 }).loss
    const dz = tf.grad(lossOf)(
      tf.tensor2d([
        [1, 0.1],
        [1, -0.1],
      ]),
    )
    expect([...dz.dataSync()].every(Number.isFinite)).toBe(true)
  })
})

describe('diagnostics', () => {
  const value = (tensor: ReturnType<typeof tf.scalar>): number => tensor.dataSync()[0]!

  it('count each used prototype once, of ties the first, as a share of what is possible', () => {
    const of = (rows: number[][]): number => value(distinctShare(tf.tensor2d(rows)) as ReturnType<typeof tf.scalar>)
    expect(
      of([
        [0.9, 0.1, 0],
        [0.8, 0.2, 0],
        [0.1, 0.2, 0.7],
        [0.6, 0.4, 0],
      ]),
    ).toBeCloseTo(2 / 3, 6)
    expect(
      of([
        [0.25, 0.25, 0.25, 0.25],
        [0.25, 0.25, 0.25, 0.25],
      ]),
    ).toBeCloseTo(1 / 2, 6)
    expect(
      of([
        [0, 0, 1],
        [0, 1, 0],
      ]),
    ).toBeCloseTo(1, 6)
  })

  it('give entropy, largest share and pairwise cosine of known rows', () => {
    const p = tf.tensor2d([
      [0.5, 0.5],
      [0.25, 0.75],
    ])
    const entropy = (Math.log(2) - 0.25 * Math.log(0.25) - 0.75 * Math.log(0.75)) / 2
    expect(value(meanRowEntropy(p, tf.log(p)) as ReturnType<typeof tf.scalar>)).toBeCloseTo(entropy, 6)
    expect(value(meanRowMax(p) as ReturnType<typeof tf.scalar>)).toBeCloseTo(0.625, 6)
    const z = tf.tensor2d([
      [2, 0],
      [0, 3],
      [1, 0],
    ])
    expect(value(meanPairwiseCosine(z) as ReturnType<typeof tf.scalar>)).toBeCloseTo(1 / 3, 6)
  })
})
