/** The masked autoencoder (He et al. 2022, arXiv 2111.06377): a ViT on the kept patches, a light decoder on all of them. */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs'
import { backboneParameters, backboneTokens, block, blockParameters, linearSpecs, normSpecs, timmNormal } from '../backbone.ts'
import { layerNorm, linear, repeatRows } from '../ops.ts'
import { type ParameterSpec, type Parameters, parameter } from '../parameters.ts'
import type { TensorMap } from '../step.ts'
import { tf } from '../tf.ts'
import { type MaeConfig, type MaeLayout, maeLayout } from './config.ts'

/** Decoder parameters; its position embedding has a row for the class token and one for each patch. */
export function maeDecoderParameters(config: MaeConfig): ParameterSpec[] {
  const { decoder, backbone } = config
  const { dim, depth, mlpRatio } = decoder
  const { patches, patchDim } = maeLayout(config, 1)
  return [
    ...linearSpecs('decoder.embed', dim, backbone.dim),
    { name: 'decoder.mask_token', shape: [1, 1, dim], init: timmNormal },
    { name: 'decoder.pos_embed', shape: [1, patches + 1, dim], init: timmNormal },
    ...Array.from({ length: depth }, (_, i) => blockParameters(`decoder.blocks.${i}`, dim, dim * mlpRatio)).flat(),
    ...normSpecs('decoder.norm', dim),
    ...linearSpecs('decoder.pred', patchDim, dim),
  ]
}

/** Encoder, then decoder. */
export function maeParameters(config: MaeConfig): ParameterSpec[] {
  return [...backboneParameters(config.backbone), ...maeDecoderParameters(config)]
}

/**
 * Predictions for the masked patches.
 * @param inputs `kept.patches` [rows, kept, patchDim], `kept.positions` [rows, kept, patches] and `masked.positions` [rows,
 *   masked, patches], one-hot
 * @returns [rows, masked, patchDim]
 */
export function maePredictions(config: MaeConfig, layout: MaeLayout, params: Parameters, inputs: TensorMap): Tensor {
  const positions = parameter(inputs, 'kept.positions')
  const input = { patches: parameter(inputs, 'kept.patches'), positions, grid: layout.grid }
  const encoded = backboneTokens(config.backbone, params, input)
  const tokens = decoderTokens(config, layout, params, encoded, positions, parameter(inputs, 'masked.positions'))
  const { decoder, backbone } = config
  const blockConfig = { heads: decoder.heads, layerNormEps: backbone.layerNormEps }
  let decoded = tokens
  for (let i = 0; i < decoder.depth; i++) decoded = block(blockConfig, params, `decoder.blocks.${i}`, decoded)
  // The masked patches come last, and only they are predicted.
  const masked = tf.slice(decoded, [0, 1 + layout.kept, 0], [decoded.shape[0]!, layout.masked, decoder.dim])
  const normed = layerNorm(
    masked,
    parameter(params, 'decoder.norm.weight'),
    parameter(params, 'decoder.norm.bias'),
    backbone.layerNormEps,
  )
  return linear(normed, parameter(params, 'decoder.pred.weight'), parameter(params, 'decoder.pred.bias'))
}

/** Class token, kept patches, masked patches, each with the decoder's own position: [rows, 1 + kept + masked, decoder dim] */
function decoderTokens(
  { decoder }: MaeConfig,
  { patches, masked }: MaeLayout,
  params: Parameters,
  encoded: Tensor,
  keptPositions: Tensor,
  maskedPositions: Tensor,
): Tensor {
  const rows = encoded.shape[0]!
  const { dim } = decoder
  const seen = linear(encoded, parameter(params, 'decoder.embed.weight'), parameter(params, 'decoder.embed.bias'))
  const hidden = repeatRows(tf.reshape(repeatRows(parameter(params, 'decoder.mask_token'), masked), [1, masked, dim]), rows)
  const position = parameter(params, 'decoder.pos_embed') as Tensor3D
  const ofClass = repeatRows(tf.slice(position, [0, 0, 0], [1, 1, dim]), rows)
  const ofPatches = tf.reshape(tf.slice(position, [0, 1, 0], [1, patches, dim]), [patches, dim]) as Tensor2D
  const selected = (oneHot: Tensor): Tensor => {
    const count = oneHot.shape[1]!
    return tf.reshape(tf.matMul(tf.reshape(oneHot, [rows * count, patches]), ofPatches), [rows, count, dim])
  }
  const places = tf.concat([ofClass, selected(keptPositions), selected(maskedPositions)], 1)
  return tf.add(tf.concat([seen, hidden], 1), places)
}
