/** What a user of exported weights must know to feed them: the metadata of the file, all strings, as safetensors and ONNX take them. */
import type { BackboneSpec, NormalisationSpec } from '#libs/experiments'

export interface WeightsOrigin {
  readonly runId: string
  readonly backbone: BackboneSpec
  /** Of the images that the weights were trained on; null where they saw none. */
  readonly normalisation: NormalisationSpec | null
  /** Null: 256 / 224 of the image size, as the paper resizes before it crops. */
  readonly resizePx: number | null
  readonly network: 'target' | 'online'
  readonly method: string
  /** Names of the classifier's outputs, where the file holds one. */
  readonly labels: readonly string[] | null
  /** Of this service. */
  readonly version: string
}

/** The paper's ratio of resize to crop: 256 to 224. */
const RESIZE_RATIO = 256 / 224

/** timm's model name for these sizes; the number of heads is told apart, because timm's own vit_tiny has 3. */
export const architectureOf = ({ name, patchPx, imagePx }: BackboneSpec): string =>
  `${name.replace('-', '_')}_patch${patchPx}_${imagePx}`

export function describeWeights(origin: WeightsOrigin): Record<string, string> {
  const { backbone, normalisation, labels } = origin
  return {
    // Read by loaders of the Hugging Face libraries.
    format: 'pt',
    architecture: architectureOf(backbone),
    embed_dim: String(backbone.dim),
    depth: String(backbone.depth),
    num_heads: String(backbone.heads),
    mlp_ratio: String(backbone.mlpRatio),
    layer_norm_eps: String(backbone.layerNormEps),
    activation: 'gelu (exact, by erf)',
    features: 'class token after the final LayerNorm',
    image_size: String(backbone.imagePx),
    patch_size: String(backbone.patchPx),
    channels: 'grey level / 255, the same in all three channels, then (value - mean) / std',
    ...(normalisation && { mean: JSON.stringify(normalisation.mean), std: JSON.stringify(normalisation.std) }),
    resize: String(origin.resizePx ?? Math.round(backbone.imagePx * RESIZE_RATIO)),
    crop: 'square film (its middle, or padded, as the data set was prepared), resized, then the middle of image_size',
    interpolation: 'bilinear, antialiased',
    method: origin.method,
    network: origin.network,
    run: origin.runId,
    ...(labels && { labels: JSON.stringify(labels) }),
    version: `cxrlab ${origin.version}`,
  }
}
