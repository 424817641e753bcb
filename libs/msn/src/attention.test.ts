import type { Tensor, Tensor3D } from '@tensorflow/tfjs'
import { expect, it } from 'vitest'
import { attention } from './attention.ts'
import { drawsFor } from './testing.ts'
import { tf } from './tf.ts'

const [ROWS, TOKENS, HEADS, HEAD_DIM] = [2, 5, 3, 4]
const DIM = HEADS * HEAD_DIM

function noise(tokens: number, key: string): Tensor {
  const uniform = drawsFor(key)
  return tf.tensor(
    Float32Array.from({ length: ROWS * tokens * DIM }, () => 2 * uniform() - 1),
    [ROWS, tokens, DIM],
  )
}

/** Head by head on slices, in tfjs's own ops with tfjs's own gradients. */
function headByHead(query: Tensor, key: Tensor, value: Tensor): Tensor {
  const parts = Array.from({ length: HEADS }, (_, head) => {
    const own = (x: Tensor) => tf.slice(x, [0, 0, head * HEAD_DIM], [ROWS, x.shape[1]!, HEAD_DIM]) as Tensor3D
    const scores = tf.matMul(own(query), own(key), false, true)
    return tf.matMul(tf.softmax(scores), own(value))
  })
  return tf.concat(parts, 2)
}

it.each([1, TOKENS])('for %i queries: values and gradients of the same arithmetic head by head', (queries) => {
  const inputs = [noise(queries, 'query'), noise(TOKENS, 'key'), noise(TOKENS, 'value')]
  const dy = noise(queries, 'dy')
  const of = (op: (...inputs: Tensor[]) => Tensor): Float32Array[] =>
    [op(...inputs), ...tf.grads(op)(inputs, dy)].map((tensor) => tensor.dataSync() as Float32Array)
  const [expected, actual] = [of(headByHead), of((q, k, v) => attention(HEADS, q!, k!, v!))]
  expected.forEach((values, which) => {
    values.forEach((value, i) => {
      expect(Math.abs(actual[which]![i]! - value), `${which}`).toBeLessThan(2e-6)
    })
  })
})
