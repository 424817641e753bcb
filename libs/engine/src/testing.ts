/** Steps and inputs for this package's tests. Not exported. */
import { type StateArrays, type Step, type TensorMap, tf } from '#libs/msn'

type Tensor = TensorMap[string]

/** Numbers in offset +- scale by a linear congruential generator (the goldens' filler); `shape` row-major. */
export function filler(shape: readonly number[], seed: number, scale = 1, offset = 0): Float32Array {
  let state = seed >>> 0
  const next = (): number => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  next()
  next()
  const size = shape.reduce((product, dimension) => product * dimension, 1)
  return Float32Array.from({ length: size }, () => offset + (2 * next() - 1) * scale)
}

/** One uniform stream in [0, 1) for each name. */
export function streamOf(name: string): () => number {
  let seed = 2166136261
  for (const character of name) seed = Math.imul(seed ^ character.charCodeAt(0), 16777619) >>> 0
  let state = seed
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Two linear layers and plain gradient descent: the smallest step with state, a batch, a scalar and an entry that stays. */
export const regressionStep: Step = {
  name: 'regression',
  signature: { state: { weight: [2, 3], bias: [2], scale: [2] }, batch: { x: [4, 3], y: [4, 2] }, scalars: ['lr'] },
  run: ({ weight, bias, scale }, { x, y }, { lr }) => {
    const loss = (weight: Tensor, bias: Tensor): Tensor => {
      const prediction = tf.add(tf.matMul(x as never, weight as never, false, true), bias)
      return tf.mean(tf.square(tf.mul(tf.sub(prediction, y!), scale!)))
    }
    const { value, grads } = tf.valueAndGrads(loss as never)([weight!, bias!])
    const after = [weight!, bias!].map((entry, i) => tf.sub(entry, tf.mul(lr!, grads[i]!)))
    return { state: { weight: after[0]!, bias: after[1]!, scale: scale! }, outputs: { loss: value } }
  },
}

export function regressionState(): StateArrays {
  return { weight: filler([2, 3], 1), bias: filler([2], 2), scale: Float32Array.of(1, 2) }
}

export function regressionBatch(seed = 5): Record<string, Float32Array> {
  return { x: filler([4, 3], seed), y: filler([4, 2], seed + 1) }
}
