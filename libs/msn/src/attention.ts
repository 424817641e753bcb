/** Multi-head scaled dot-product attention with its gradient written out. */
import type { Tensor, Tensor3D } from '@tensorflow/tfjs'
import { differentiable } from './ops.ts'
import { tf } from './tf.ts'

/**
 * softmax(q k^T) v for each head (Vaswani et al., arXiv 1706.03762, eq. 1, with the scale 1 / sqrt(headDim) already in q).
 * The gradient needs sum_k dP P along each row of scores; that is sum dO O over the head's width (Dao et al., arXiv 2205.14135,
 * appendix B.2), so that no pass over the scores is spent on it.
 * @param query [rows, queries, dim] @param key [rows, tokens, dim] @param value [rows, tokens, dim]
 * @returns [rows, queries, dim]
 */
export function attention(heads: number, query: Tensor, key: Tensor, value: Tensor): Tensor {
  return differentiable(
    [query, key, value],
    (query, key, value) => {
      const [q, k, v] = [byHead(heads, query), byHead(heads, key), byHead(heads, value)]
      const weights = tf.softmax(tf.matMul(q, k, false, true)) as Tensor3D
      const mixed = joined(heads, tf.matMul(weights, v))
      return { value: mixed, saved: [q, k, v, weights, mixed] }
    },
    (dy, [q, k, v, weights, mixed]) => {
      const [dMixed, p] = [byHead(heads, dy), weights as Tensor3D]
      const dWeights = tf.matMul(dMixed, v as Tensor3D, false, true)
      const dScores = tf.mul(p, tf.sub(dWeights, rowSums(heads, tf.mul(dy, mixed!)))) as Tensor3D
      return [
        joined(heads, tf.matMul(dScores, k as Tensor3D)),
        joined(heads, tf.matMul(dScores, q as Tensor3D, true, false)),
        joined(heads, tf.matMul(p, dMixed, true, false)),
      ]
    },
  )
}

/** [rows, tokens, heads * headDim] -> [rows * heads, tokens, headDim] */
function byHead(heads: number, x: Tensor): Tensor3D {
  const [rows, tokens, dim] = x.shape as [number, number, number]
  const split = tf.transpose(tf.reshape(x, [rows, tokens, heads, dim / heads]), [0, 2, 1, 3])
  return tf.reshape(split, [rows * heads, tokens, dim / heads])
}

/** [rows * heads, tokens, headDim] -> [rows, tokens, heads * headDim] */
function joined(heads: number, x: Tensor): Tensor3D {
  const [all, tokens, headDim] = x.shape as [number, number, number]
  const split = tf.transpose(tf.reshape(x, [all / heads, heads, tokens, headDim]), [0, 2, 1, 3])
  return tf.reshape(split, [all / heads, tokens, heads * headDim])
}

/** Sums over each head's width. [rows, tokens, heads * headDim] -> [rows * heads, tokens, 1] */
function rowSums(heads: number, x: Tensor): Tensor {
  const [rows, tokens, dim] = x.shape as [number, number, number]
  const sums = tf.sum(tf.reshape(x, [rows, tokens, heads, dim / heads]), -1)
  return tf.reshape(tf.transpose(sums, [0, 2, 1]), [rows * heads, tokens, 1])
}
