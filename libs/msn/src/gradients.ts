/** Reverse-mode differentiation that also hands out what the forward pass computed on its way. */
import type { Scalar, Tensor } from '@tensorflow/tfjs'
import { parameter } from './parameters.ts'
import type { TensorMap } from './step.ts'
import { tf } from './tf.ts'

export interface Differentiated {
  readonly loss: Tensor
  /** d loss / d parameter, by name. */
  readonly gradients: TensorMap
  readonly extras: TensorMap
}

/**
 * Loss, extras and gradients with respect to `names`, all of which the loss must depend on.
 * @param forward from the differentiated tensors to a scalar loss and the tensors to hand out
 */
export function differentiate(
  tensors: TensorMap,
  names: readonly string[],
  forward: (tensors: TensorMap) => { loss: Tensor; extras: TensorMap },
): Differentiated {
  let kept: TensorMap = {}
  const inputs = names.map((name) => parameter(tensors, name))
  const { value, grads } = tf.valueAndGrads((...args: Tensor[]) => {
    const { loss, extras } = forward({ ...tensors, ...Object.fromEntries(names.map((name, i) => [name, args[i]!])) })
    // The gradient's own scope frees everything but the loss.
    kept = Object.fromEntries(Object.entries(extras).map(([name, tensor]) => [name, tf.keep(tensor)]))
    return loss as Scalar
  })(inputs)
  // A copy belongs to the caller's scope again, the kept tensor to none.
  const extras = Object.fromEntries(
    Object.entries(kept).map(([name, tensor]) => {
      const copy = tf.clone(tensor)
      tensor.dispose()
      return [name, copy]
    }),
  )
  return { loss: value, gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]!])), extras }
}
