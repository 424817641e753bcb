/** Presets of evaluation, before overrides. Sources of the values: docs/method.md. */
import { IMAGENET, TINY_CPU } from './preset-sizes.ts'
import type { EvaluateSpec, NormalisationSpec, TransferSpec } from './spec.ts'
import type { LabelSet, Method, PresetName, TrainedMode } from './vocabulary.ts'

/** The authors normalise evaluation images otherwise than pretraining images; preset `paper` keeps their mismatch. */
const PAPER_EVALUATION: NormalisationSpec = { mean: [0.4884, 0.455, 0.4171], std: [0.2596, 0.253, 0.2556] }

export interface EvaluateChoice {
  readonly dataset: string
  readonly mode: TrainedMode
  readonly labels: LabelSet
  readonly labelFraction: number
  readonly seed: number
}

/** Test on `dataset` of a classifier that was trained as `trainedOn` says. */
export interface TransferChoice {
  readonly dataset: string
  readonly labels: LabelSet
  readonly labelFraction: number
  readonly seed: number
  readonly trainedOn: { readonly dataset: string; readonly mode: TrainedMode }
}

/** `linear-cached` evaluates features of un-augmented images: it has no augmentation to set. */
export const NO_AUGMENTATION: EvaluateSpec['augmentation'] = { flip: 0, affine: null }

/** The paper evaluates MSN's EMA target and DINO's student; MAE, random initialisation and imported weights have one network. */
export const PRESET_NETWORK: Readonly<Record<Method, EvaluateSpec['network']>> = {
  msn: 'target',
  dino: 'online',
  mae: 'online',
  none: 'online',
  imported: 'online',
}

const common = (preset: PresetName) =>
  ({
    normalisation: preset === 'msn' ? IMAGENET : PAPER_EVALUATION,
    resizePx: preset === 'tiny-cpu' ? TINY_CPU.resizePx : 256,
    batch: 64,
    bootstrap: { resamples: 1000, by: 'patient', confidence: 0.95 },
    precision: 'float32',
    xla: 'off',
    microBatch: null,
  }) as const

/** Evaluation of a backbone that `method` pretrained, under a preset. */
export function presetEvaluate(preset: PresetName, choice: EvaluateChoice, method: Method = 'msn'): EvaluateSpec {
  const tiny = preset === 'tiny-cpu'
  const cached = tiny && choice.mode === 'linear-cached' ? TINY_CPU.cached : undefined
  return {
    kind: 'evaluate',
    ...choice,
    ...common(preset),
    network: PRESET_NETWORK[method],
    fractionBy: 'patient',
    augmentation:
      choice.mode === 'linear-cached'
        ? NO_AUGMENTATION
        : { flip: 0.5, affine: { degrees: 45, scale: [0.85, 1.15], translate: 0.15 } },
    optimiser: {
      lr: cached?.lr ?? (tiny ? TINY_CPU.evaluationLr : 1e-4),
      weightDecay: 0,
      betas: [0.9, 0.999],
      eps: 1e-8,
      schedule: 'cosine-epoch',
      plateauFactor: 0.5,
      plateauPatience: 3,
    },
    epochs: cached?.epochs ?? 50,
    earlyStopPatience: cached?.earlyStopPatience ?? 5,
  }
}

/** Test of a trained classifier on another data set, under a preset. */
export function presetTransfer(preset: PresetName, { trainedOn, ...choice }: TransferChoice): TransferSpec {
  return { kind: 'evaluate', mode: 'transfer', ...choice, trainedOn: { ...trainedOn }, ...common(preset) }
}
