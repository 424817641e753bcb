/** The EHR side of the anchors (Shurrab et al. 2024, section "EHR-enhanced MSN"): h = W_f [h_anchor, W_e x + b_e] + b_f. */
import type { Tensor } from '@tensorflow/tfjs'
import { linear } from './ops.ts'
import { fanInUniform, type ParameterSpec, type Parameters, parameter } from './parameters.ts'
import { tf } from './tf.ts'

/** @param dim backbone width @param width of the EHR vector */
export function ehrParameters(dim: number, width: number, embedDim: number): ParameterSpec[] {
  const specs = (name: string, outDim: number, inDim: number): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [outDim, inDim], init: fanInUniform(inDim) },
    { name: `${name}.bias`, shape: [outDim], init: fanInUniform(inDim) },
  ]
  return [...specs('ehr.embed', embedDim, width), ...specs('ehr.fuse', dim, dim + embedDim)]
}

/**
 * Fuses each image's EHR vector into all its anchors. The concatenation (image first, then EHR) is computed as the sum of two
 * products, so the EHR half is done once an image instead of once an anchor.
 * @param anchors [views * batch, dim], view after view @param ehr [batch, width]
 * @returns [views * batch, dim]
 */
export function fuseEhr(params: Parameters, anchors: Tensor, ehr: Tensor): Tensor {
  const [rows, dim] = anchors.shape as [number, number]
  const batch = ehr.shape[0]!
  const embedded = linear(ehr, parameter(params, 'ehr.embed.weight'), parameter(params, 'ehr.embed.bias'))
  const embedDim = embedded.shape[1]!
  const weight = parameter(params, 'ehr.fuse.weight')
  const ofImage = linear(anchors, tf.slice(weight, [0, 0], [dim, dim]), parameter(params, 'ehr.fuse.bias'))
  const ofEhr = linear(embedded, tf.slice(weight, [0, dim], [dim, embedDim]))
  return tf.reshape(tf.add(tf.reshape(ofImage, [rows / batch, batch, dim]), ofEhr), [rows, dim])
}
