/** Binary cross-entropy on logits. */
import type { Tensor } from '@tensorflow/tfjs'
import { differentiable } from './ops.ts'
import { tf } from './tf.ts'

/**
 * Weighted mean over all entries of max(x, 0) - x y + log(1 + exp(-|x|)), the stable form of -y log s(x) - (1-y) log(1-s(x)).
 * Where all weights are 0 the loss is 0.
 * @param logits [batch, labels] @param targets [batch, labels] in [0, 1] @param weights [batch, labels], 0 leaves an entry out
 * @returns scalar
 */
export function bceWithLogits(logits: Tensor, targets: Tensor, weights: Tensor): Tensor {
  // Weights are shares of a whole or counts; a sum below 1e-12 can only mean that nothing is left in.
  const share = tf.div(weights, tf.maximum(tf.sum(weights), 1e-12))
  return differentiable(
    [logits],
    (x) => {
      const softPlus = tf.log(tf.add(tf.exp(tf.neg(tf.abs(x))), 1))
      const entries = tf.add(tf.sub(tf.maximum(x, 0), tf.mul(x, targets)), softPlus)
      return { value: tf.sum(tf.mul(entries, share)), saved: [x, targets, share] }
    },
    (dy, [x, y, weight]) => {
      const probability = tf.div(1, tf.add(tf.exp(tf.neg(x!)), 1))
      return [tf.mul(tf.mul(tf.sub(probability, y!), weight!), dy)]
    },
  )
}
