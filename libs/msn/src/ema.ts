/** The target network: an exponential moving average of the online one (MSN, arXiv 2204.07141, section 3). */
import type { Tensor } from '@tensorflow/tfjs'
import { parameter } from './parameters.ts'
import type { TensorMap } from './step.ts'
import { tf } from './tf.ts'

/**
 * momentum * target + mix * online, for every entry of `target`.
 * @param mix 1 - momentum, handed over apart because the difference loses digits in float32
 */
export function movingAverage(target: TensorMap, online: TensorMap, momentum: Tensor, mix: Tensor): TensorMap {
  return Object.fromEntries(
    Object.entries(target).map(([name, tensor]) => [
      name,
      tf.add(tf.mul(tensor, momentum), tf.mul(parameter(online, name), mix)),
    ]),
  )
}
