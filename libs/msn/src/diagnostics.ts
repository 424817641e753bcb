/** What shows a collapse early: scalars logged at every step (no gradient flows through them). */
import type { Tensor } from '@tensorflow/tfjs'
import { l2Normalise } from './ops.ts'
import { tf } from './tf.ts'

/** Mean entropy of the rows. @param p [rows, K] @param logP [rows, K] @returns scalar, in nats */
export function meanRowEntropy(p: Tensor, logP: Tensor): Tensor {
  return tf.mul(tf.sum(tf.mul(p, logP)), -1 / p.shape[0]!)
}

/** Mean of the rows' largest value. @param t [batch, K] @returns scalar */
export function meanRowMax(t: Tensor): Tensor {
  return tf.mean(tf.max(t, 1))
}

/** Distinct argmax columns over min(K, batch); of tied columns the first counts. @param t [batch, K] @returns scalar in (0, 1] */
export function distinctShare(t: Tensor): Tensor {
  const [batch, count] = t.shape as [number, number]
  // Rank falls from left to right, so the largest rank among a row's maxima is that of the first of them.
  const rank = tf.tensor1d(Float32Array.from({ length: count }, (_, i) => count - i))
  const ranked = tf.mul(asNumber(tf.greaterEqual(t, tf.max(t, 1, true))), rank)
  const first = asNumber(tf.greaterEqual(ranked, tf.max(ranked, 1, true)))
  return tf.mul(tf.sum(tf.max(first, 0)), 1 / Math.min(count, batch))
}

function asNumber(condition: Tensor): Tensor {
  return tf.cast(condition, 'float32')
}

/** Mean cosine over the n(n - 1) ordered pairs of rows. @param z [n, dim] @returns scalar */
export function meanPairwiseCosine(z: Tensor): Tensor {
  const rows = z.shape[0]!
  const unit = l2Normalise(z)
  const all = tf.sum(tf.square(tf.sum(unit, 0)))
  const own = tf.sum(tf.square(unit))
  return tf.mul(tf.sub(all, own), 1 / (rows * (rows - 1)))
}

/** Euclidean norm of many tensors taken as one vector. @returns scalar */
export function globalNorm(tensors: readonly Tensor[]): Tensor {
  const squares = tensors.map((tensor) => tf.sum(tf.square(tensor)))
  return tf.sqrt(squares.reduce((sum, square) => tf.add(sum, square)))
}
