/** The MAE loss (He et al. 2022, arXiv 2111.06377, section 3): mean squared error on masked patches. */
import type { Tensor } from '@tensorflow/tfjs'
import { total } from '../ops.ts'
import { sizeOf } from '../parameters.ts'
import { tf } from '../tf.ts'

const VARIANCE_EPS = 1e-6

/**
 * Each patch by its own mean and unbiased variance, (x - mean) / sqrt(var + 1e-6).
 * @param patches [..., patchDim] @returns the same shape
 */
export function normalisedPatches(patches: Tensor): Tensor {
  const values = patches.shape.at(-1)!
  const centred = tf.sub(patches, tf.mean(patches, -1, true))
  const variance = tf.mul(tf.mean(tf.square(centred), -1, true), values / (values - 1))
  return tf.div(centred, tf.sqrt(tf.add(variance, VARIANCE_EPS)))
}

/** Mean over all patches and values. @param predicted [batch, masked, patchDim] @param wanted the same shape, without gradient */
export function maeLoss(predicted: Tensor, wanted: Tensor): Tensor {
  return tf.mul(total(tf.square(tf.sub(predicted, wanted))), 1 / sizeOf(predicted.shape))
}
