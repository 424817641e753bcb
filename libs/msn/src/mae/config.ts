/** What an MAE step is built from, and the sizes that follow. */
import {
  type BackboneConfig,
  checkBackbone,
  checkMicroBatch,
  gridOf,
  type Normalisation,
  type OptimiserConfig,
} from '../config.ts'
import { MsnConfigError } from '../errors.ts'
import { keptCount } from '../masks.ts'

export interface MaeDecoderConfig {
  readonly dim: number
  readonly depth: number
  readonly heads: number
  readonly mlpRatio: number
}

export interface MaeConfig {
  readonly backbone: BackboneConfig
  readonly normalisation: Normalisation
  /** Share of the patches that the encoder does not see. */
  readonly mask: { readonly image: number }
  readonly decoder: MaeDecoderConfig
  /** Whether each patch to predict is normalised by its own mean and variance. */
  readonly normPixels: boolean
  readonly optimiser: OptimiserConfig
  readonly epochs: number
  /** As in MsnConfig. */
  readonly microBatch?: number | null
}

export interface MaeLayout {
  readonly batch: number
  /** 3 * patchPx^2. */
  readonly patchDim: number
  /** Patches a side. */
  readonly grid: number
  readonly patches: number
  /** Patches that the encoder sees. */
  readonly kept: number
  /** Patches to predict. */
  readonly masked: number
}

/** @throws MsnConfigError naming the field that does not fit */
export function maeLayout({ backbone, mask, decoder, microBatch }: MaeConfig, batch: number): MaeLayout {
  checkBackbone(backbone)
  checkMicroBatch(microBatch)
  if (!Number.isInteger(batch) || batch < 1) throw new MsnConfigError('batch', `${batch} is not a positive number of images`)
  if (decoder.dim % decoder.heads !== 0)
    throw new MsnConfigError('decoder.heads', `${decoder.heads} heads do not divide a width of ${decoder.dim}`)
  if (!Number.isInteger(decoder.dim * decoder.mlpRatio))
    throw new MsnConfigError('decoder.mlpRatio', `an MLP of ${decoder.dim * decoder.mlpRatio} units is not a whole number`)
  const grid = gridOf(backbone, backbone.imagePx)
  const patches = grid ** 2
  const kept = keptCount(patches, mask.image)
  if (kept < 1) throw new MsnConfigError('mask.image', `a mask of ${mask.image} keeps none of ${patches} patches`)
  if (kept === patches)
    throw new MsnConfigError('mask.image', `a mask of ${mask.image} leaves none of ${patches} patches to predict`)
  return { batch, patchDim: 3 * backbone.patchPx ** 2, grid, patches, kept, masked: patches - kept }
}
