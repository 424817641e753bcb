/** The MSN loss (Assran et al., arXiv 2204.07141, eq. 1-3) on prototype assignments. */
import type { Tensor } from '@tensorflow/tfjs'
import type { LossConfig } from './config.ts'
import { logSoftmax, meanRows, softmax, total } from './ops.ts'
import { prototypeLogits } from './prototypes.ts'
import { tf } from './tf.ts'

/** Below the smallest column sum that matters, and a normal float32: keeps an empty column from dividing 0 by 0. */
const TINY = 1e-30

/**
 * Sharpened target assignments, then Sinkhorn. The softmax is taken at temperature x sharpening: the power of a softmax, its
 * equal on paper, underflows in float32.
 * @param zTarget [batch, dim] @param prototypes [K, dim]
 * @returns t [batch, K]; rows sum to 1
 */
export function targetAssignments(zTarget: Tensor, prototypes: Tensor, config: LossConfig): Tensor {
  const sharpened = softmax(prototypeLogits(zTarget, prototypes, config.temperature * config.sharpening))
  return sinkhorn(sharpened, config.sinkhornIterations)
}

/**
 * Sinkhorn-Knopp towards equal use of the prototypes (Cuturi 2013; SwAV, arXiv 2006.09882, section 3.1).
 * @param t [batch, K], rows sum to 1 @param iterations 0 leaves t as it is
 */
export function sinkhorn(t: Tensor, iterations: number): Tensor {
  if (iterations === 0) return t
  const [batch, count] = t.shape as [number, number]
  let plan = tf.div(t, tf.sum(t))
  for (let i = 0; i < iterations; i++) {
    const columns = tf.maximum(tf.sum(plan, 0, true), TINY)
    plan = tf.mul(tf.div(plan, columns), 1 / count)
    plan = tf.mul(tf.div(plan, tf.sum(plan, 1, true)), 1 / batch)
  }
  return tf.mul(plan, batch)
}

export interface MsnLoss {
  /** Scalars. */
  readonly loss: Tensor
  readonly ce: Tensor
  readonly memax: Tensor
  /** log p and p, [views * batch, K]. */
  readonly logP: Tensor
  readonly p: Tensor
}

/**
 * CE = -mean_n sum_k t log p; me-max = log K - H(mean_n p); loss = CE + weight me-max.
 * @param z anchors [views * batch, dim], view after view @param prototypes [K, dim]
 * @param t targets [batch, K], the same for all views; no gradient flows into them
 */
export function msnLoss(z: Tensor, prototypes: Tensor, t: Tensor, config: LossConfig): MsnLoss {
  const rows = z.shape[0]!
  const [batch, count] = t.shape as [number, number]
  const logP = logSoftmax(prototypeLogits(z, prototypes, config.temperature))
  const p = tf.exp(logP)
  const agreement = tf.mul(tf.reshape(logP, [rows / batch, batch, count]), t)
  const ce = tf.mul(total(agreement), -1 / rows)
  const meanP = meanRows(p)
  // Adding TINY changes no value that counts and gives an unused prototype 0 log 0 = 0.
  const memax = tf.add(total(tf.mul(meanP, tf.log(tf.add(meanP, TINY)))), Math.log(count))
  return { loss: tf.add(ce, tf.mul(memax, config.meMaxWeight)), ce, memax, logP, p }
}
