/** The projection head: Linear-BatchNorm-GELU, twice, then Linear (MSN, arXiv 2204.07141, appendix; names as in lightly). */
import type { Tensor } from '@tensorflow/tfjs'
import type { HeadConfig } from './config.ts'
import { gelu, linear, standardise } from './ops.ts'
import { fanInUniform, ones, type ParameterSpec, type Parameters, parameter, zeros } from './parameters.ts'
import type { TensorMap } from './step.ts'
import { tf } from './tf.ts'

const BATCH_NORM_EPS = 1e-5
const RUNNING_MOMENTUM = 0.1
const BATCH_NORMS = ['fc.bn1', 'fc.bn2'] as const

/** @param dim width of the rows that enter the head */
export function headParameters(config: HeadConfig, dim: number): ParameterSpec[] {
  const { hiddenDim, outDim, hiddenBias } = config
  const dense = (name: string, out: number, width: number, bias: boolean): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [out, width], init: fanInUniform(width) },
    ...(bias ? [{ name: `${name}.bias`, shape: [out], init: fanInUniform(width) }] : []),
  ]
  const norm = (name: string): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [hiddenDim], init: ones },
    { name: `${name}.bias`, shape: [hiddenDim], init: zeros },
  ]
  return [
    ...dense('fc.fc1', hiddenDim, dim, hiddenBias),
    ...norm('fc.bn1'),
    ...dense('fc.fc2', hiddenDim, hiddenDim, hiddenBias),
    ...norm('fc.bn2'),
    ...dense('fc.fc3', outDim, hiddenDim, true),
  ]
}

/** Running statistics: kept for whoever wants the head at inference, never read by a training step. */
export function headBuffers(config: HeadConfig): ParameterSpec[] {
  return BATCH_NORMS.flatMap((name) => [
    { name: `${name}.running_mean`, shape: [config.hiddenDim], init: zeros },
    { name: `${name}.running_var`, shape: [config.hiddenDim], init: ones },
  ])
}

export interface HeadOutput {
  /** [rows, outDim] */
  readonly z: Tensor
  /** Running statistics after this pass, by buffer name. */
  readonly buffers: TensorMap
}

/**
 * @param x [rows, dim]
 * @param groups row counts that share batch statistics, in row order; they sum to `rows`
 * @param buffers running statistics before this pass
 */
export function projectionHead(params: Parameters, x: Tensor, groups: readonly number[], buffers: Parameters): HeadOutput {
  const updated: TensorMap = {}
  let rows = x
  for (const [i, name] of BATCH_NORMS.entries()) {
    const projected = linear(rows, parameter(params, `fc.fc${i + 1}.weight`), params[`fc.fc${i + 1}.bias`])
    const { value, running } = batchNorm(params, name, projected, groups, buffers)
    Object.assign(updated, running)
    rows = gelu(value)
  }
  return { z: linear(rows, parameter(params, 'fc.fc3.weight'), parameter(params, 'fc.fc3.bias')), buffers: updated }
}

/**
 * BatchNorm with batch statistics (Ioffe & Szegedy, arXiv 1502.03167, algorithm 1), each group of rows on its own; the running
 * statistics take the groups one after another, with the unbiased variance, as separate calls in PyTorch would.
 */
function batchNorm(
  params: Parameters,
  name: string,
  x: Tensor,
  groups: readonly number[],
  buffers: Parameters,
): { value: Tensor; running: TensorMap } {
  const parts = groups.length === 1 ? [x] : tf.split(x, [...groups], 0)
  const standard = parts.map((part) => standardise(part, 0, BATCH_NORM_EPS))
  let mean = parameter(buffers, `${name}.running_mean`)
  let variance = parameter(buffers, `${name}.running_var`)
  for (const part of parts) {
    const rows = part.shape[0]!
    const partMean = tf.mean(part, 0)
    const squares = tf.mean(tf.square(tf.sub(part, partMean)), 0)
    mean = mix(mean, partMean, 1)
    variance = mix(variance, squares, rows / (rows - 1))
  }
  const joined = standard.length === 1 ? standard[0]! : tf.concat(standard, 0)
  return {
    value: tf.add(tf.mul(joined, parameter(params, `${name}.weight`)), parameter(params, `${name}.bias`)),
    running: { [`${name}.running_mean`]: mean, [`${name}.running_var`]: variance },
  }
}

function mix(running: Tensor, batch: Tensor, factor: number): Tensor {
  return tf.add(tf.mul(running, 1 - RUNNING_MOMENTUM), tf.mul(batch, RUNNING_MOMENTUM * factor))
}
