/** Values that presets share, and the sizes of preset `tiny-cpu`. */
import type { NormalisationSpec } from './spec.ts'

/** Sizes of preset `tiny-cpu`: small enough that a laptop pretrains and evaluates in minutes. */
export const TINY_CPU = {
  imagePx: 64,
  patchPx: 8,
  /** Focal anchors of MSN, local views of DINO. */
  smallViews: 2,
  smallViewPx: 32,
  batch: 32,
  prototypes: 32,
  epochs: 5,
  lr: 5e-4,
  packSidePx: 128,
  /** 64 x 256/224, the paper's ratio of resize to crop. */
  resizePx: 73,
  evaluationLr: 1e-3,
  /**
   * On cached features an epoch costs milliseconds, so the head is trained until it has converged: with the paper's 50 epochs and
   * patience of 5, a few hundred images stop it while the scores still say more of the head's start than of the features.
   */
  cached: { lr: 1e-2, epochs: 300, earlyStopPatience: 300 },
  dinoHead: { hiddenDim: 128, bottleneckDim: 64, outDim: 64 },
  maeDecoder: { dim: 96, depth: 2, heads: 4 },
} as const

/** ImageNet's channel statistics; images are grey, repeated to three channels. */
export const IMAGENET: NormalisationSpec = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
