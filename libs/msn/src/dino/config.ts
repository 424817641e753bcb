/** What a DINO step is built from, and the sizes that follow. */
import {
  type BackboneConfig,
  checkBackbone,
  checkMicroBatch,
  gridOf,
  type Normalisation,
  type OptimiserConfig,
} from '../config.ts'
import { MsnConfigError } from '../errors.ts'

export interface DinoConfig {
  readonly backbone: BackboneConfig
  readonly views: { readonly globalCount: number; readonly localCount: number; readonly localPx: number }
  readonly normalisation: Normalisation
  readonly head: DinoHeadConfig & {
    /** Epochs during which the last layer does not move. */
    readonly frozenEpochs: number
  }
  readonly loss: DinoLossConfig
  readonly target: { readonly momentum: readonly [number, number]; readonly apply: 'before-forward' | 'after-update' }
  readonly optimiser: OptimiserConfig
  readonly epochs: number
  /** As in MsnConfig. */
  readonly microBatch?: number | null
}

export interface DinoHeadConfig {
  readonly hiddenDim: number
  /** Width of the L2-normalised vector before the last layer. */
  readonly bottleneckDim: number
  readonly outDim: number
}

export interface DinoLossConfig {
  readonly studentTemperature: number
  readonly teacherTemperature: number
  readonly centreMomentum: number
}

/** Views of one size in a batch of B images, view after view. */
export interface DinoViewLayout {
  /** Views an image. */
  readonly count: number
  /** Patches a side. */
  readonly grid: number
  /** count x B */
  readonly rows: number
}

export interface DinoLayout {
  readonly batch: number
  /** 3 * patchPx^2. */
  readonly patchDim: number
  readonly global: DinoViewLayout
  /** Null without local views. */
  readonly local: DinoViewLayout | null
}

/** @throws MsnConfigError naming the field that does not fit */
export function dinoLayout({ backbone, views, microBatch }: DinoConfig, batch: number): DinoLayout {
  checkBackbone(backbone)
  checkMicroBatch(microBatch)
  if (!Number.isInteger(batch) || batch < 1) throw new MsnConfigError('batch', `${batch} is not a positive number of images`)
  const { globalCount, localCount, localPx } = views
  if (globalCount < 2) throw new MsnConfigError('views.globalCount', `${globalCount} global views make no pair; 2 are needed`)
  const view = (count: number, sidePx: number, field: string): DinoViewLayout => {
    return { count, grid: gridOf(backbone, sidePx, field), rows: count * batch }
  }
  return {
    batch,
    patchDim: 3 * backbone.patchPx ** 2,
    global: view(globalCount, backbone.imagePx, 'backbone.imagePx'),
    local: localCount === 0 ? null : view(localCount, localPx, 'views.localPx'),
  }
}
