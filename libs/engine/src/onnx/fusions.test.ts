import { describe, expect, it } from 'vitest'
import { finetuneStep, type Step, type TensorMap, tf } from '#libs/msn'
import { optimise } from '../passes/optimise.ts'
import { traceStep } from '../trace/trace-step.ts'
import { fuseForOnnx } from './fusions.ts'

type Tensor = TensorMap[string]

function kindsOf(run: (x: Tensor, y: Tensor) => TensorMap): string[] {
  const step: Step = {
    name: 'probe',
    signature: { state: {}, batch: { x: [4, 6], y: [6] }, scalars: [] },
    run: (_, { x, y }) => ({ state: {}, outputs: run(x!, y!) }),
  }
  return fuseForOnnx(optimise(traceStep(step).program)).map(({ kind }) => kind)
}

function standardised(x: Tensor, axis: number): { value: Tensor; inverse: Tensor; centred: Tensor } {
  const centred = tf.sub(x, tf.mean(x, axis, true))
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), axis, true), 1e-6))
  return { value: tf.mul(centred, inverse), inverse, centred }
}

describe('a product of matrices and the addition of a vector', () => {
  const product = (x: Tensor): Tensor => tf.matMul(x as never, x as never, true, false)

  it('are one operation, whichever side the vector stands on', () => {
    expect(kindsOf((x, y) => ({ z: tf.add(product(x), y) }))).toEqual(['Linear'])
    expect(kindsOf((x, y) => ({ z: tf.add(y, product(x)) }))).toEqual(['Linear'])
  })

  it('stay two where the product is used elsewhere too', () => {
    expect(kindsOf((x, y) => ({ z: tf.add(product(x), y), p: product(x) }))).toEqual(['BatchMatMul', 'Add'])
  })

  it('stay two where what is added is a matrix', () => {
    expect(kindsOf((x) => ({ z: tf.add(product(x), product(x)) }))).not.toContain('Linear')
  })
})

describe('standardised rows', () => {
  it('are one operation, also where the gradient wants the inverse', () => {
    expect(kindsOf((x) => ({ z: standardised(x, -1).value }))).toEqual(['Standardise'])
    const { length } = kindsOf((x) => {
      const { value, inverse } = standardised(x, -1)
      return { value, inverse }
    })
    expect(length).toBe(1)
  })

  it('stay as they are where something else uses the centred rows', () => {
    const kinds = kindsOf((x) => {
      const { value, centred } = standardised(x, -1)
      return { value, centred }
    })
    expect(kinds).not.toContain('Standardise')
  })

  it('are not taken for standardised columns', () => {
    expect(kindsOf((x) => ({ z: standardised(x, 0).value }))).not.toContain('Standardise')
  })
})

it('a fine-tuning step has one operation for each LayerNorm and for each linear layer forward', () => {
  const backbone = { dim: 16, depth: 3, heads: 2, mlpRatio: 2, patchPx: 4, imagePx: 16, layerNormEps: 1e-6 }
  const step = finetuneStep(backbone, { labels: 3, batch: 2, betas: [0.9, 0.999], eps: 1e-8 })
  const kinds = fuseForOnnx(optimise(traceStep(step).program)).map(({ kind }) => kind)
  expect(kinds.filter((kind) => kind === 'Standardise')).toHaveLength(2 * 3 + 1)
  // Embedding, four a block with one more in the last (query apart from key and value), head.
  expect(kinds.filter((kind) => kind === 'Linear')).toHaveLength(1 + 4 * 3 + 1 + 1)
})
