import type { Tensor } from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import {
  erfGate,
  gelu,
  l2Normalise,
  layerNorm,
  linear,
  logSoftmax,
  meanRows,
  repeatRows,
  softmax,
  standardise,
  total,
} from './ops.ts'
import { drawsFor } from './testing.ts'
import { tf } from './tf.ts'

function noise(shape: number[], key: string): Tensor {
  const uniform = drawsFor(key)
  const size = shape.reduce((product, side) => product * side, 1)
  return tf.tensor(
    Float32Array.from({ length: size }, () => 4 * uniform() - 2),
    shape,
  )
}

type Op = (x: Tensor) => Tensor

/** Each compact op beside the same arithmetic in composed tfjs ops, whose gradients tfjs knows. */
const pairs: Record<string, { shape: number[]; op: Op; composed: Op }> = {
  gelu: {
    shape: [4, 5],
    op: gelu,
    composed: (x) => tf.mul(tf.mul(x, 0.5), tf.add(1, tf.erf(tf.div(x, Math.SQRT2)))),
  },
  'erf gate': { shape: [4, 5], op: erfGate, composed: (x) => tf.mul(x, tf.add(1, tf.erf(x))) },
  softmax: { shape: [2, 3, 5], op: softmax, composed: (x) => tf.softmax(x) },
  'log softmax': { shape: [4, 5], op: logSoftmax, composed: (x) => tf.logSoftmax(x) },
  'standardised columns': { shape: [6, 3], op: (x) => standardise(x, 0, 1e-5), composed: (x) => composedStandard(x, 0) },
  'standardised rows': { shape: [2, 3, 6], op: (x) => standardise(x, -1, 1e-5), composed: (x) => composedStandard(x, -1) },
  'unit rows': { shape: [4, 5], op: l2Normalise, composed: (x) => tf.div(x, tf.sqrt(tf.sum(tf.square(x), -1, true))) },
  total: { shape: [3, 4], op: total, composed: (x) => tf.sum(x) },
  'mean of rows': { shape: [3, 4], op: meanRows, composed: (x) => tf.mean(x, 0) },
  'repeated rows': { shape: [1, 2, 3], op: (x) => repeatRows(x, 4), composed: (x) => tf.tile(x, [4, 1, 1]) },
}

function composedStandard(x: Tensor, axis: number): Tensor {
  const centred = tf.sub(x, tf.mean(x, axis, true))
  return tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), axis, true), 1e-5)))
}

function expectClose(actual: Tensor, expected: Tensor, bound: number): void {
  expect(actual.shape).toEqual(expected.shape)
  const reference = expected.dataSync()
  actual.dataSync().forEach((value, i) => {
    expect(Math.abs(value - reference[i]!)).toBeLessThan(bound)
  })
}

describe.each(Object.entries(pairs))('%s', (name, { shape, op, composed }) => {
  it('has the value of the composed form', () => {
    const x = noise(shape, name)
    expectClose(op(x), composed(x), 2e-6)
  })

  it('has the gradient of the composed form, for any gradient that comes in', () => {
    const x = noise(shape, name)
    const dy = noise(op(x).shape, `${name} dy`)
    expectClose(tf.grad(op)(x, dy), tf.grad(composed)(x, dy), 1e-5)
  })
})

describe('edges', () => {
  it('a zero row stays zero and has a finite gradient when normalised', () => {
    const x = tf.zeros([2, 3])
    expect([...l2Normalise(x).dataSync()]).toEqual([0, 0, 0, 0, 0, 0])
    expect([...tf.grad(l2Normalise)(x).dataSync()].every(Number.isFinite)).toBe(true)
  })

  it('log softmax survives logits that a softmax turns into 0', () => {
    expect([...logSoftmax(tf.tensor2d([[0, -500]])).dataSync()]).toEqual([0, -500])
  })

  it('linear multiplies by the transposed weight, for any rank', () => {
    const weight = tf.tensor2d([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const y = linear(tf.tensor3d([[[1, 10]], [[0, 1]]]), weight, tf.tensor1d([100, 200, 300]))
    expect(y.arraySync()).toEqual([[[121, 243, 365]], [[102, 204, 306]]])
  })

  it('layer norm scales and shifts standardised rows', () => {
    const y = layerNorm(tf.tensor2d([[1, 3]]), tf.tensor1d([2, 2]), tf.tensor1d([10, 20]), 0)
    expect(y.arraySync()).toEqual([[8, 22]])
  })
})

it('the erf gate is 2u or 0 with gradient 2 or 0 where exp(u^2) overflows', () => {
  const u = tf.tensor1d([12, -12, 1e6, -1e6])
  const { value, grad } = tf.valueAndGrad((x) => tf.sum(erfGate(x)))(u)
  expect([...erfGate(u).dataSync()]).toEqual([24, 0, 2e6, 0].map((x) => expect.closeTo(x)))
  expect([...grad.dataSync()]).toEqual([2, 0, 2, 0])
  tf.dispose([u, value, grad])
})
