/**
 * The ViT (Dosovitskiy et al., arXiv 2010.11929) with timm's parameter names and PyTorch's layouts. Two exact savings: only
 * kept patches are embedded, and the last block computes the class token alone, since nothing else of it is used.
 */
import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs'
import { attention } from './attention.ts'
import { type BackboneConfig, gridOf } from './config.ts'
import { erfGate, layerNorm, linear, repeatRows, standardise } from './ops.ts'
import { fanInUniform, type Initialiser, ones, type ParameterSpec, type Parameters, parameter, zeros } from './parameters.ts'
import { gridMatrix } from './position.ts'
import { tf } from './tf.ts'

/** timm's trunc_normal_(std = .02). */
export const timmNormal: Initialiser = { kind: 'normal', std: 0.02 }

export function linearSpecs(name: string, outDim: number, inDim: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [outDim, inDim], init: timmNormal },
    { name: `${name}.bias`, shape: [outDim], init: zeros },
  ]
}

export function normSpecs(name: string, dim: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [dim], init: ones },
    { name: `${name}.bias`, shape: [dim], init: zeros },
  ]
}

/** @param hidden width of the MLP's middle */
export function blockParameters(name: string, dim: number, hidden: number): ParameterSpec[] {
  return [
    ...normSpecs(`${name}.norm1`, dim),
    ...linearSpecs(`${name}.attn.qkv`, 3 * dim, dim),
    ...linearSpecs(`${name}.attn.proj`, dim, dim),
    ...normSpecs(`${name}.norm2`, dim),
    ...linearSpecs(`${name}.mlp.fc1`, hidden, dim),
    ...linearSpecs(`${name}.mlp.fc2`, dim, hidden),
  ]
}

/** All parameters, in timm's order. */
export function backboneParameters(config: BackboneConfig): ParameterSpec[] {
  const { dim, depth, mlpRatio, patchPx, imagePx } = config
  const patches = gridOf(config, imagePx) ** 2
  return [
    { name: 'cls_token', shape: [1, 1, dim], init: timmNormal },
    { name: 'pos_embed', shape: [1, patches + 1, dim], init: timmNormal },
    { name: 'patch_embed.proj.weight', shape: [dim, 3, patchPx, patchPx], init: fanInUniform(3 * patchPx ** 2) },
    { name: 'patch_embed.proj.bias', shape: [dim], init: zeros },
    ...Array.from({ length: depth }, (_, i) => blockParameters(`blocks.${i}`, dim, dim * mlpRatio)).flat(),
    ...normSpecs('norm', dim),
  ]
}

/** Images as patch vectors. */
export interface PatchInput {
  /** [rows, kept, 3 * patchPx^2], each flattened as (channel, y, x). */
  readonly patches: Tensor
  /** [rows, kept, grid^2] one-hot: which patch each vector is; null where all are there, in order. */
  readonly positions: Tensor | null
  /** Patches a side of these images. */
  readonly grid: number
}

/**
 * Class token after the final LayerNorm.
 * @returns [rows, dim]
 */
export function backboneFeatures(config: BackboneConfig, params: Parameters, input: PatchInput): Tensor {
  let tokens = embedTokens(config, params, input)
  for (let i = 0; i < config.depth - 1; i++) tokens = block(config, params, `blocks.${i}`, tokens)
  const classToken = classTokenBlock(config, params, `blocks.${config.depth - 1}`, tokens)
  return norm(config, params, 'norm', classToken)
}

/**
 * Class token and the tokens of all patches given, after the final LayerNorm.
 * @returns [rows, 1 + kept, dim]
 */
export function backboneTokens(config: BackboneConfig, params: Parameters, input: PatchInput): Tensor {
  let tokens = embedTokens(config, params, input)
  for (let i = 0; i < config.depth; i++) tokens = block(config, params, `blocks.${i}`, tokens)
  return norm(config, params, 'norm', tokens)
}

/** What a block needs to know of the network that it is part of. */
export type BlockConfig = Pick<BackboneConfig, 'heads' | 'layerNormEps'>

function norm(config: BlockConfig, params: Parameters, name: string, x: Tensor): Tensor {
  return layerNorm(x, parameter(params, `${name}.weight`), parameter(params, `${name}.bias`), config.layerNormEps)
}

function dense(params: Parameters, name: string, x: Tensor): Tensor {
  return linear(x, parameter(params, `${name}.weight`), parameter(params, `${name}.bias`))
}

/** [rows, 1 + kept, dim] */
function embedTokens(config: BackboneConfig, params: Parameters, input: PatchInput): Tensor {
  const { dim } = config
  const { patches } = input
  const kernel = tf.reshape(parameter(params, 'patch_embed.proj.weight'), [dim, -1])
  const embedded = linear(patches, kernel, parameter(params, 'patch_embed.proj.bias'))
  const position = parameter(params, 'pos_embed') as Tensor3D
  const classToken = tf.add(parameter(params, 'cls_token'), tf.slice(position, [0, 0, 0], [1, 1, dim]))
  const placed = tf.add(embedded, positionRows(config, position, input))
  return tf.concat([repeatRows(classToken, patches.shape[0]!), placed], 1)
}

/** Position rows of the patches: [grid^2, dim], or [rows, kept, dim] where some are selected. */
function positionRows(config: BackboneConfig, position: Tensor3D, input: PatchInput): Tensor {
  const { dim } = config
  const { positions, grid } = input
  const ownGrid = gridOf(config, config.imagePx)
  const own = tf.reshape(tf.slice(position, [0, 1, 0], [1, ownGrid ** 2, dim]), [ownGrid ** 2, dim])
  const rows = grid === ownGrid ? own : tf.matMul(tf.tensor2d(gridMatrix(ownGrid, grid), [grid ** 2, ownGrid ** 2]), own)
  if (!positions) return rows
  const [count, kept] = positions.shape as [number, number]
  return tf.reshape(tf.matMul(tf.reshape(positions, [count * kept, grid ** 2]), rows), [count, kept, dim])
}

/**
 * The linear layer `name` as it acts on rows that are standardised but not yet scaled and shifted by the LayerNorm `normName`
 * before it: (v g + c) W^T + b = v (W g)^T + (W c + b). A pass over the weights takes the place of passes over every token.
 * @param scale of the layer's outputs: a scalar, or one number each, [out]
 */
function foldedLinear(
  params: Parameters,
  normName: string,
  name: string,
  scale: Tensor | number,
): { weight: Tensor2D; bias: Tensor1D } {
  const weight = parameter(params, `${name}.weight`) as Tensor2D
  const [outDim, dim] = weight.shape
  const gain = parameter(params, `${normName}.weight`)
  const shift = tf.reshape(parameter(params, `${normName}.bias`), [dim, 1]) as Tensor2D
  const bias = tf.add(tf.reshape(tf.matMul(weight, shift), [outDim]), parameter(params, `${name}.bias`))
  const rowScale = typeof scale === 'number' ? scale : tf.reshape(scale, [outDim, 1])
  return { weight: tf.mul(weight, tf.mul(gain, rowScale)), bias: tf.mul(bias, scale) }
}

/** The qkv layer after norm1, its queries scaled by 1 / sqrt(headDim) as attention wants them. */
function foldedProjection(config: BlockConfig, params: Parameters, name: string): { weight: Tensor2D; bias: Tensor1D } {
  const dim = parameter(params, `${name}.norm1.weight`).shape[0]!
  const scale = new Float32Array(3 * dim).fill(1).fill(1 / Math.sqrt(dim / config.heads), 0, dim)
  return foldedLinear(params, `${name}.norm1`, `${name}.attn.qkv`, tf.tensor1d(scale))
}

/** A pre-norm block. [rows, tokens, dim] -> the same */
export function block(config: BlockConfig, params: Parameters, name: string, x: Tensor): Tensor {
  const { weight, bias } = foldedProjection(config, params, name)
  const projected = linear(standardise(x, -1, config.layerNormEps), weight, bias)
  const [query, key, value] = tf.split(projected, 3, 2) as [Tensor, Tensor, Tensor]
  const attended = tf.add(x, dense(params, `${name}.attn.proj`, attention(config.heads, query, key, value)))
  return tf.add(attended, mlp(config, params, name, attended))
}

/** The same block for the class token alone: keys and values of all tokens, one query. [rows, tokens, dim] -> [rows, dim] */
function classTokenBlock(config: BlockConfig, params: Parameters, name: string, x: Tensor): Tensor {
  const [rows, , dim] = x.shape as [number, number, number]
  const { weight, bias } = foldedProjection(config, params, name)
  const standard = standardise(x, -1, config.layerNormEps)
  const firstToken = (tokens: Tensor): Tensor => tf.slice(tokens, [0, 0, 0], [rows, 1, dim])
  const query = linear(firstToken(standard), tf.slice(weight, [0, 0], [dim, dim]), tf.slice(bias, [0], [dim]))
  const keyValue = linear(standard, tf.slice(weight, [dim, 0], [2 * dim, dim]), tf.slice(bias, [dim], [2 * dim]))
  const [key, value] = tf.split(keyValue, 2, 2) as [Tensor, Tensor]
  const mixed = tf.reshape(attention(config.heads, query, key, value), [rows, dim])
  const attended = tf.add(tf.reshape(firstToken(x), [rows, dim]), dense(params, `${name}.attn.proj`, mixed))
  return tf.add(attended, mlp(config, params, name, attended))
}

/**
 * LayerNorm, Linear, GELU, Linear. With u = x / sqrt 2, GELU(x) = u (1 + erf u) / sqrt 2: both factors go into the weights.
 * [..., dim] -> the same
 */
function mlp(config: BlockConfig, params: Parameters, name: string, x: Tensor): Tensor {
  const { weight, bias } = foldedLinear(params, `${name}.norm2`, `${name}.mlp.fc1`, Math.SQRT1_2)
  const gated = erfGate(linear(standardise(x, -1, config.layerNormEps), weight, bias))
  const second = tf.mul(parameter(params, `${name}.mlp.fc2.weight`), Math.SQRT1_2)
  return linear(gated, second, parameter(params, `${name}.mlp.fc2.bias`))
}
