/** AdamW (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2): decay apart from the gradient. */
import type { Tensor } from '@tensorflow/tfjs'
import type { ParameterSpec } from './parameters.ts'
import { tf } from './tf.ts'

export interface AdamConfig {
  readonly betas: readonly [number, number]
  readonly eps: number
}

/** Scalars of one update. The bias corrections are 1 / (1 - beta^n) of the n-th update, n from 1. */
export interface AdamScalars {
  readonly lr: Tensor
  readonly wd: Tensor
  readonly adam1: Tensor
  readonly adam2: Tensor
}

/** Names of the scalars in a step's signature. */
export const ADAM_SCALARS = ['lr', 'wd', 'adam1', 'adam2'] as const

/** The bias corrections of update number `step` (0-based), in doubles. */
export function biasCorrections(betas: readonly [number, number], step: number): { adam1: number; adam2: number } {
  return { adam1: 1 / (1 - betas[0] ** (step + 1)), adam2: 1 / (1 - betas[1] ** (step + 1)) }
}

export interface AdamEntry {
  readonly value: Tensor
  readonly m: Tensor
  readonly v: Tensor
}

/**
 * One update of one tensor; all shapes equal. The learning rate and both bias corrections are taken together in scalars:
 * lr adam1 m / (sqrt(adam2 v) + eps) = (lr adam1 / sqrt(adam2)) m / (sqrt(v) + eps / sqrt(adam2)), two passes over the tensor less.
 */
export function adamW(entry: AdamEntry, gradient: Tensor, scalars: AdamScalars, config: AdamConfig, decayed: boolean): AdamEntry {
  const [beta1, beta2] = config.betas
  const m = tf.add(tf.mul(entry.m, beta1), tf.mul(gradient, 1 - beta1))
  const v = tf.add(tf.mul(entry.v, beta2), tf.mul(tf.square(gradient), 1 - beta2))
  const correction = tf.sqrt(scalars.adam2)
  const rate = tf.div(tf.mul(scalars.lr, scalars.adam1), correction)
  const move = tf.div(tf.mul(m, rate), tf.add(tf.sqrt(v), tf.div(config.eps, correction)))
  const shrunk = decayed ? tf.sub(entry.value, tf.mul(entry.value, tf.mul(scalars.lr, scalars.wd))) : entry.value
  return { value: tf.sub(shrunk, move), m, v }
}

/** Whether weight decay acts on a tensor: with `skip1d` not on biases, norms and other 1-D tensors. */
export function isDecayed({ name, shape }: Pick<ParameterSpec, 'name' | 'shape'>, skip1d: boolean): boolean {
  return !skip1d || !(shape.length === 1 || name.endsWith('.bias'))
}

/** Factor that brings a gradient of this norm down to `clipNorm`, at most 1. */
export function clipFactor(norm: Tensor, clipNorm: number): Tensor {
  return tf.div(clipNorm, tf.maximum(norm, clipNorm))
}
