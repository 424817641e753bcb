/** The mini configurations of the golden files, their initial state and their batches. */
import { type MsnConfig, msnInitialState, oneHotPositions, patchesOfChannels, type StateArrays } from '#libs/msn'
import { type FillRule, fill } from './filler.ts'
import type { NamedFill, Rows } from './msn-golden-files.ts'

const backbone = { dim: 16, depth: 2, heads: 2, mlpRatio: 4, patchPx: 8, imagePx: 32, layerNormEps: 1e-6 }
const loss = { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 }
// The golden images are normalised already.
const normalisation = { mean: [0, 0, 0], std: [1, 1, 1] } as const

/** Preset `msn` at mini size: trained prototypes, shared mask on the random anchor, EMA after the update. */
export const originalConfig: MsnConfig = {
  backbone,
  ehr: null,
  views: { focalCount: 3, focalPx: 16 },
  normalisation,
  mask: { random: 5 / 16, focal: 0, shared: true },
  head: { hiddenDim: 32, outDim: 8, hiddenBias: true, bnGroups: 'per-size' },
  prototypes: { count: 12, trainable: true },
  loss,
  target: { momentum: [0.996, 1], momentumStretch: 1.25, apply: 'after-update' },
  optimiser: {
    lr: { start: 2e-4, peak: 1e-3, final: 1e-6, warmupEpochs: 1, stretch: 1.25, granularity: 'step' },
    weightDecay: { start: 0.04, final: 0.4, skip1d: true },
    betas: [0.9, 0.999],
    eps: 1e-8,
    clipNorm: 3,
  },
  epochs: 3,
}

/** Preset `paper` at mini size. */
export function paperConfig(withEhr: boolean, bn: 'separate' | 'joint'): MsnConfig {
  return {
    backbone,
    ehr: withEhr ? { width: 13, embedDim: 8 } : null,
    views: { focalCount: 3, focalPx: 16 },
    normalisation,
    mask: { random: 0.15, focal: 0.15, shared: false },
    head: { hiddenDim: 64, outDim: 16, hiddenBias: false, bnGroups: bn === 'joint' ? 'joint' : 'per-size' },
    prototypes: { count: 12, trainable: false },
    loss,
    target: { momentum: [0.996, 0.996], momentumStretch: 1, apply: 'before-forward' },
    optimiser: {
      lr: { start: 0, peak: 1e-4, final: 0, warmupEpochs: 0, stretch: 1, granularity: 'epoch' },
      weightDecay: { start: 1e-3, final: 1e-3, skip1d: false },
      betas: [0.9, 0.999],
      eps: 1e-8,
      clipNorm: null,
    },
    epochs: 100,
  }
}

/** The paper file calls the head's layers `head.*`. */
export const ownName = (name: string): string => name.replace(/^head\./, 'fc.')

/** State with the golden file's filled parameters; moments, running statistics and the rest as at any start. */
export function filledState(config: MsnConfig, parameters: readonly NamedFill[], prototypes: FillRule): StateArrays {
  const state = msnInitialState(config, () => () => 0.5)
  for (const rule of parameters) {
    for (const network of ['online', 'target']) {
      const name = `${network}.${ownName(rule.name)}`
      if (name in state) state[name] = fill(rule)
    }
  }
  state.prototypes = fill(prototypes)
  return state
}

/** Parameters of one backbone by plain name. */
export function filledParameters(parameters: readonly NamedFill[]): StateArrays {
  return Object.fromEntries(parameters.map((rule) => [ownName(rule.name), fill(rule)]))
}

/** One golden image batch as patches, with one-hot positions where patches are left out. @param keep [rows][kept] ids */
export function patchArrays(name: string, images: FillRule, keep: Rows | null, into: Record<string, Float32Array>): void {
  const [rows, , sidePx] = images.shape as [number, number, number, number]
  const ids = keep ? Int32Array.from(keep.flat()) : null
  into[`${name}.patches`] = patchesOfChannels(fill(images), rows, sidePx, backbone.patchPx, ids)
  if (ids) into[`${name}.positions`] = oneHotPositions(ids, (sidePx / backbone.patchPx) ** 2)
}

/** Several golden image batches as one, rows after rows. */
export function stackedPatchArrays(
  name: string,
  images: readonly FillRule[],
  keep: readonly Rows[] | null,
  into: Record<string, Float32Array>,
): void {
  const parts = images.map((rule, i) => {
    const part: Record<string, Float32Array> = {}
    patchArrays(name, rule, keep ? keep[i]! : null, part)
    return part
  })
  for (const key of Object.keys(parts[0] ?? {})) into[key] = Float32Array.from(parts.flatMap((part) => [...part[key]!]))
}
