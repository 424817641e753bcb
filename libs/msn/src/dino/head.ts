/** The DINO head (Caron et al. 2021, arXiv 2104.14294, section 3.2 and appendix C). */
import type { Tensor } from '@tensorflow/tfjs'
import { timmNormal } from '../backbone.ts'
import { gelu, l2Normalise, linear } from '../ops.ts'
import { fanInUniform, type ParameterSpec, type Parameters, parameter, zeros } from '../parameters.ts'
import { tf } from '../tf.ts'
import type { DinoHeadConfig } from './config.ts'

/** Directions of the weight-normed last layer; its gain is fixed at 1 and so no parameter. */
export const LAST_LAYER = 'head.last_layer.weight_v'

const LAYERS = ['head.mlp.0', 'head.mlp.2', 'head.mlp.4'] as const

/** @param dim width of the rows that enter the head */
export function dinoHeadParameters({ hiddenDim, bottleneckDim, outDim }: DinoHeadConfig, dim: number): ParameterSpec[] {
  const widths = [dim, hiddenDim, hiddenDim, bottleneckDim]
  return [
    ...LAYERS.flatMap((name, i): ParameterSpec[] => [
      { name: `${name}.weight`, shape: [widths[i + 1]!, widths[i]!], init: timmNormal },
      { name: `${name}.bias`, shape: [widths[i + 1]!], init: zeros },
    ]),
    { name: LAST_LAYER, shape: [outDim, bottleneckDim], init: fanInUniform(bottleneckDim) },
  ]
}

/**
 * Linear-GELU-Linear-GELU-Linear, L2 norm, then a linear layer whose rows are unit vectors.
 * @param x [rows, dim]
 * @returns logits before temperature, [rows, outDim]
 */
export function dinoHead(params: Parameters, x: Tensor): Tensor {
  let rows = x
  for (const [i, name] of LAYERS.entries()) {
    const projected = linear(rows, parameter(params, `${name}.weight`), parameter(params, `${name}.bias`))
    rows = i < LAYERS.length - 1 ? gelu(projected) : projected
  }
  return tf.matMul(l2Normalise(rows), l2Normalise(parameter(params, LAST_LAYER)), false, true)
}
