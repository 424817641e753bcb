/**
 * Presets of backbone and pack: the values that a spec gets before a user's overrides. A stored spec is fully resolved, so it
 * never depends on presets. Sources of the values: docs/method.md.
 */
import { TINY_CPU } from './preset-sizes.ts'
import type { BackboneSpec, PrepareSpec } from './spec.ts'
import type { BackboneName, PresetName } from './vocabulary.ts'

/** Token width of each backbone (Touvron et al. 2021, DeiT). */
const DIM = { 'vit-tiny': 192, 'vit-small': 384 } as const satisfies Record<BackboneName, number>
/** Heads of 64 columns each, as in DeiT; presets `paper` and `tiny-cpu` take 6 for both, as the paper's authors do. */
const DEIT_HEADS = { 'vit-tiny': 3, 'vit-small': 6 } as const satisfies Record<BackboneName, number>

const SPLIT_SEED = 24

/** Backbone of a preset, before overrides. */
export function presetBackbone(preset: PresetName, name: BackboneName): BackboneSpec {
  const tiny = preset === 'tiny-cpu'
  return {
    name,
    dim: DIM[name],
    depth: 12,
    heads: preset === 'msn' ? DEIT_HEADS[name] : 6,
    mlpRatio: 4,
    patchPx: tiny ? TINY_CPU.patchPx : 16,
    imagePx: tiny ? TINY_CPU.imagePx : 224,
    layerNormEps: 1e-6,
  }
}

/** Decoding of a data set under a preset, before overrides. */
export function presetPrepare(preset: PresetName, dataset: string): PrepareSpec {
  return {
    kind: 'prepare',
    dataset,
    sidePx: preset === 'tiny-cpu' ? TINY_CPU.packSidePx : 256,
    fit: 'centre-crop',
    onBrokenImage: 'fail',
    // The paper evaluates NIH on abnormal images only and CheXpert on test images with a finding; published numbers elsewhere
    // take all.
    includeNoFinding: preset !== 'paper',
    dropAllZero: preset === 'paper',
    uncertain: 'zeros',
    validationFraction: 0.1,
    splitSeed: SPLIT_SEED,
  }
}
