/**
 * What the tensor functions need to know of a spec: structural subsets of the specs in the experiments library, so a resolved
 * spec can be handed over as it is (EHR aside: its vector's width follows from the variables).
 */
import { MsnConfigError } from './errors.ts'
import { keptCount } from './masks.ts'

/** A ViT with pre-norm blocks, class token and learned position embedding. */
export interface BackboneConfig {
  /** Token width D. */
  readonly dim: number
  readonly depth: number
  readonly heads: number
  readonly mlpRatio: number
  readonly patchPx: number
  /** Side of full-size images. */
  readonly imagePx: number
  readonly layerNormEps: number
}

export interface HeadConfig {
  readonly hiddenDim: number
  readonly outDim: number
  readonly hiddenBias: boolean
  /** Which anchor rows share BatchNorm statistics: all of them, or those of one view size. */
  readonly bnGroups: 'joint' | 'per-size'
}

export interface LossConfig {
  readonly temperature: number
  readonly sharpening: number
  readonly sinkhornIterations: number
  readonly meMaxWeight: number
}

export interface TargetConfig {
  readonly momentum: readonly [number, number]
  readonly momentumStretch: number
  readonly apply: 'before-forward' | 'after-update'
}

export interface OptimiserConfig {
  readonly lr: {
    readonly start: number
    readonly peak: number
    readonly final: number
    readonly warmupEpochs: number
    readonly stretch: number
    readonly granularity: 'epoch' | 'step'
  }
  readonly weightDecay: { readonly start: number; readonly final: number; readonly skip1d: boolean }
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly clipNorm: number | null
}

export interface Normalisation {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

export interface MsnConfig {
  readonly backbone: BackboneConfig
  /** Null: vanilla MSN. */
  readonly ehr: { readonly width: number; readonly embedDim: number } | null
  readonly views: { readonly focalCount: number; readonly focalPx: number }
  readonly normalisation: Normalisation
  readonly mask: { readonly random: number; readonly focal: number; readonly shared: boolean }
  readonly head: HeadConfig
  readonly prototypes: { readonly count: number; readonly trainable: boolean }
  readonly loss: LossConfig
  readonly target: TargetConfig
  readonly optimiser: OptimiserConfig
  readonly epochs: number
  /** Images whose views pass the trunk at a time, which bounds the memory of a step; null or absent: all. Same results. */
  readonly microBatch?: number | null
}

/** Sizes of one kind of view. */
export interface ViewLayout {
  /** Patches a side. */
  readonly grid: number
  readonly patches: number
  /** Patches kept by the mask; equal to `patches` where nothing is masked. */
  readonly kept: number
  /** Images of this kind in a batch. */
  readonly rows: number
}

/** Sizes of one MSN batch of B images: anchor rows are random (B), then focal 0 (B), focal 1 (B), ... */
export interface MsnLayout {
  readonly batch: number
  /** 3 * patchPx^2. */
  readonly patchDim: number
  readonly target: ViewLayout
  readonly random: ViewLayout
  /** Null without focal anchors. */
  readonly focal: ViewLayout | null
  readonly anchorRows: number
}

/**
 * Patches a side of an image.
 * @throws MsnConfigError where the patch does not divide the image
 */
export function gridOf(backbone: BackboneConfig, sidePx: number, field = 'backbone.imagePx'): number {
  const grid = sidePx / backbone.patchPx
  if (!Number.isInteger(grid) || grid < 1) {
    throw new MsnConfigError(field, `${sidePx} px is not a whole number of patches of ${backbone.patchPx} px`)
  }
  return grid
}

/** @throws MsnConfigError where the heads do not divide the width, or the MLP width is no integer */
export function checkBackbone(backbone: BackboneConfig): void {
  gridOf(backbone, backbone.imagePx)
  if (backbone.dim % backbone.heads !== 0) {
    throw new MsnConfigError('backbone.heads', `${backbone.heads} heads do not divide a width of ${backbone.dim}`)
  }
  if (!Number.isInteger(backbone.dim * backbone.mlpRatio)) {
    throw new MsnConfigError('backbone.mlpRatio', `an MLP of ${backbone.dim * backbone.mlpRatio} units is not a whole number`)
  }
}

/** @throws MsnConfigError unless `microBatch` is a positive integer, null or absent */
export function checkMicroBatch(microBatch: number | null | undefined): void {
  if (microBatch == null || (Number.isInteger(microBatch) && microBatch > 0)) return
  throw new MsnConfigError('microBatch', `${microBatch} is not a positive number of images`)
}

function viewOf(grid: number, dropped: number, rows: number, field: string): ViewLayout {
  const patches = grid * grid
  const kept = keptCount(patches, dropped)
  if (kept < 1) throw new MsnConfigError(field, `a mask of ${dropped} keeps none of ${patches} patches`)
  return { grid, patches, kept, rows }
}

/** @throws MsnConfigError naming the field that does not fit */
export function msnLayout(config: MsnConfig, batch: number): MsnLayout {
  const { backbone, views, mask } = config
  checkBackbone(backbone)
  checkMicroBatch(config.microBatch)
  if (!Number.isInteger(batch) || batch < 2) throw new MsnConfigError('batch', `BatchNorm needs at least 2 images, not ${batch}`)
  const grid = gridOf(backbone, backbone.imagePx)
  const focal =
    views.focalCount === 0
      ? null
      : viewOf(gridOf(backbone, views.focalPx, 'views.focalPx'), mask.focal, views.focalCount * batch, 'mask.focal')
  return {
    batch,
    patchDim: 3 * backbone.patchPx ** 2,
    target: viewOf(grid, 0, batch, 'mask'),
    random: viewOf(grid, mask.random, batch, 'mask.random'),
    focal,
    anchorRows: batch * (1 + views.focalCount),
  }
}
