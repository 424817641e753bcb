/** Prototypes: K directions that anchors and targets are compared with (MSN, arXiv 2204.07141, section 3). */
import type { Tensor } from '@tensorflow/tfjs'
import { l2Normalise } from './ops.ts'
import type { ParameterSpec } from './parameters.ts'
import { tf } from './tf.ts'

/** U(+-1/sqrt(dim)). */
export function prototypeParameter(count: number, dim: number): ParameterSpec {
  return { name: 'prototypes', shape: [count, dim], init: { kind: 'uniform', bound: 1 / Math.sqrt(dim) } }
}

/** Cosine similarities over a temperature. @param z [rows, dim] @param prototypes [K, dim] @returns [rows, K] */
export function prototypeLogits(z: Tensor, prototypes: Tensor, temperature: number): Tensor {
  const cosine = tf.matMul(l2Normalise(z), l2Normalise(prototypes), false, true)
  return tf.mul(cosine, 1 / temperature)
}
