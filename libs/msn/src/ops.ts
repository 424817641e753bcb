/**
 * Differentiable building blocks with compact hand-written gradients: fewer saved arrays and passes than the composed ops need.
 * All are pure, read no value, and use only kernels that lower one to one to ONNX and TensorFlow.
 */
import type { Tensor } from '@tensorflow/tfjs'
import { tf } from './tf.ts'

interface Forward {
  readonly value: Tensor
  /** What the gradient needs. */
  readonly saved: Tensor[]
}

/** tf.customGrad with its variadic types narrowed: `backward` gives one gradient an input, in order. */
export function differentiable(
  inputs: readonly Tensor[],
  forward: (...inputs: Tensor[]) => Forward,
  backward: (dy: Tensor, saved: Tensor[]) => Tensor[],
): Tensor {
  const op = tf.customGrad((...args) => {
    const save = args[args.length - 1] as (tensors: Tensor[]) => void
    const { value, saved } = forward(...(args.slice(0, -1) as Tensor[]))
    save(saved)
    return { value, gradFunc: (dy: Tensor, kept: Tensor[]) => backward(dy, kept) }
  })
  return op(...inputs)
}

/** y = x W^T + b. @param x [..., in] @param weight [out, in] @param bias [out] or none @returns [..., out] */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [out, width] = weight.shape as [number, number]
  const rows = x.rank === 2 ? x : tf.reshape(x, [-1, width])
  const product = tf.matMul(rows as ReturnType<typeof tf.matMul>, weight as ReturnType<typeof tf.matMul>, false, true)
  const shifted = bias ? tf.add(product, bias) : product
  return x.rank === 2 ? shifted : tf.reshape(shifted, [...x.shape.slice(0, -1), out])
}

/** Exact GELU, x Phi(x) (Hendrycks & Gimpel, arXiv 1606.08415, eq. 1, with erf). Same shape. */
export function gelu(x: Tensor): Tensor {
  return differentiable(
    [x],
    (x) => {
      const phi = tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5)
      return { value: tf.mul(x, phi), saved: [x, phi] }
    },
    (dy, [x, phi]) => {
      const density = tf.mul(tf.exp(tf.mul(tf.square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI))
      return [tf.mul(dy, tf.add(phi!, tf.mul(x!, density)))]
    },
  )
}

/**
 * u (1 + erf u): sqrt 2 times the exact GELU of sqrt 2 u, in fewer passes. Its gradient is 1 + erf u + 2 u exp(-u^2) / sqrt pi;
 * the division takes exp(u^2) beyond the range of float32 to the zero that it should be. Same shape.
 */
export function erfGate(u: Tensor): Tensor {
  return differentiable(
    [u],
    (u) => {
      const gate = tf.add(tf.erf(u), 1)
      return { value: tf.mul(u, gate), saved: [u, gate] }
    },
    (dy, [u, gate]) => {
      const slope = tf.mul(tf.div(u!, tf.exp(tf.square(u!))), 2 / Math.sqrt(Math.PI))
      return [tf.mul(dy, tf.add(gate!, slope))]
    },
  )
}

/** Softmax over the last axis. Same shape. */
export function softmax(x: Tensor): Tensor {
  return differentiable(
    [x],
    (x) => {
      const value = tf.softmax(x)
      return { value, saved: [value] }
    },
    (dy, [y]) => {
      const weighted = tf.mul(dy, y!)
      return [tf.sub(weighted, tf.mul(y!, tf.sum(weighted, -1, true)))]
    },
  )
}

/** log softmax over the last axis, without underflow. Same shape. */
export function logSoftmax(x: Tensor): Tensor {
  return differentiable(
    [x],
    (x) => {
      const shifted = tf.sub(x, tf.max(x, -1, true))
      const value = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), -1, true)))
      return { value, saved: [value] }
    },
    (dy, [y]) => [tf.sub(dy, tf.mul(tf.exp(y!), tf.sum(dy, -1, true)))],
  )
}

/**
 * (x - mean) / sqrt(var + eps) along one axis, biased variance: the core of LayerNorm (axis -1) and of BatchNorm (axis 0).
 * Same shape.
 */
export function standardise(x: Tensor, axis: number, eps: number): Tensor {
  return differentiable(
    [x],
    (x) => {
      const centred = tf.sub(x, tf.mean(x, axis, true))
      const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), axis, true), eps))
      const value = tf.mul(centred, inverse)
      return { value, saved: [value, inverse] }
    },
    (dy, [y, inverse]) => {
      const along = tf.mean(tf.mul(dy, y!), axis, true)
      return [tf.mul(tf.sub(tf.sub(dy, tf.mean(dy, axis, true)), tf.mul(y!, along)), inverse!)]
    },
  )
}

/** LayerNorm over the last axis. @param x [..., dim] @param weight [dim] @param bias [dim] */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  return tf.add(tf.mul(standardise(x, -1, eps), weight), bias)
}

/** Rows over max(norm, 1e-12). @param x [rows, dim] */
export function l2Normalise(x: Tensor): Tensor {
  return differentiable(
    [x],
    (x) => {
      // 1e-24 is the square of the norm's floor and still a normal float32.
      const inverse = tf.rsqrt(tf.maximum(tf.sum(tf.square(x), -1, true), 1e-24))
      const value = tf.mul(x, inverse)
      return { value, saved: [value, inverse] }
    },
    (dy, [y, inverse]) => [tf.mul(tf.sub(dy, tf.mul(y!, tf.sum(tf.mul(dy, y!), -1, true))), inverse!)],
  )
}

/** Sum of all elements, a scalar; its gradient is filled rather than written out as a constant of ones. */
export function total(x: Tensor): Tensor {
  const { shape } = x
  return differentiable(
    [x],
    (x) => ({ value: tf.sum(x), saved: [] }),
    (dy) => [tf.mul(tf.fill(shape, 1), dy)],
  )
}

/** Mean over the first axis. @param x [rows, dim] @returns [dim] */
export function meanRows(x: Tensor): Tensor {
  const { shape } = x
  return differentiable(
    [x],
    (x) => ({ value: tf.mean(x, 0), saved: [] }),
    (dy) => [tf.mul(tf.fill(shape, 1 / shape[0]!), dy)],
  )
}

/** The same [1, ...] block for each of `rows` rows. @param x [1, ...] @returns [rows, ...] */
export function repeatRows(x: Tensor, rows: number): Tensor {
  const reps = x.shape.map((_, axis) => (axis === 0 ? rows : 1))
  return differentiable(
    [x],
    (x) => ({ value: tf.tile(x, reps), saved: [] }),
    // tfjs's own gradient of Tile is one slice and one addition a row.
    (dy) => [tf.sum(dy, 0, true)],
  )
}
