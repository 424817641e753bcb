/** Preset + overrides -> resolved specs of packs and evaluations, or the problems that stand in the way. */
import { type EvaluateChoice, NO_AUGMENTATION, presetEvaluate, presetTransfer, type TransferChoice } from './evaluate-presets.ts'
import { fixedProblems, type Layer, type LayeredResult, parseLayered } from './layered.ts'
import type { JsonObject } from './merge.ts'
import { presetPrepare } from './presets.ts'
import {
  type EvaluateSpec,
  type EvaluationSpec,
  evaluateSpecSchema,
  type PrepareSpec,
  prepareSpecSchema,
  type TransferSpec,
  transferSpecSchema,
} from './spec.ts'
import { isTrainedMethod, type Method, type PresetName } from './vocabulary.ts'

/** Fields that are lists of the grid. */
const FIXED_OF_PREPARE = ['kind', 'dataset']
const FIXED_OF_EVALUATE = ['kind', 'dataset', 'mode', 'labels', 'labelFraction', 'seed', 'trainedOn']

const EVALUATE = '/overrides/evaluate'

/** Decoding of one data set. */
export function resolvePrepare(preset: PresetName, dataset: string, over: JsonObject = {}): LayeredResult<PrepareSpec> {
  const layer: Layer = { base: '/overrides/prepare', over }
  const fixed = fixedProblems(layer, FIXED_OF_PREPARE)
  if (fixed.length > 0) return { spec: null, problems: fixed, unused: [] }
  return parseLayered(prepareSpecSchema, presetPrepare(preset, dataset), [layer])
}

function sized<S extends EvaluationSpec>(result: LayeredResult<S>, imagePx: number): LayeredResult<S> {
  if (result.spec === null || result.spec.resizePx >= imagePx) return result
  const message = `images resized to ${result.spec.resizePx} px have no centre crop of ${imagePx} px`
  return { ...result, spec: null, problems: [{ code: 'resize-below-image', path: `${EVALUATE}/resizePx`, message }] }
}

/** What evaluations are resolved for: a backbone with views of `imagePx` that `method` pretrained. */
export interface EvaluatedBackbone {
  readonly method: Method
  readonly imagePx: number
}

/**
 * Evaluation that trains a classifier. Mode `linear-cached` has no augmentation and random initialisation one network, whatever
 * is overridden.
 */
export function resolveEvaluate(
  preset: PresetName,
  choice: EvaluateChoice,
  { method, imagePx }: EvaluatedBackbone,
  over: JsonObject = {},
): LayeredResult<EvaluateSpec> {
  const layer: Layer = { base: EVALUATE, over }
  const fixed = fixedProblems(layer, FIXED_OF_EVALUATE)
  if (fixed.length > 0) return { spec: null, problems: fixed, unused: [] }
  const result = sized(parseLayered(evaluateSpecSchema, presetEvaluate(preset, choice, method), [layer]), imagePx)
  if (result.spec === null) return result
  if (method === 'mae' && result.spec.network === 'target') {
    const message = 'a backbone pretrained by MAE has no target network; leave `network` out, or say online'
    return { ...result, spec: null, problems: [{ code: 'no-target-network', path: `${EVALUATE}/network`, message }] }
  }
  const augmentation = choice.mode === 'linear-cached' ? NO_AUGMENTATION : result.spec.augmentation
  const network = isTrainedMethod(method) ? result.spec.network : 'online'
  return { ...result, spec: { ...result.spec, augmentation, network } }
}

/** Test of a trained classifier on another data set. */
export function resolveTransfer(
  preset: PresetName,
  choice: TransferChoice,
  imagePx: number,
  over: JsonObject = {},
): LayeredResult<TransferSpec> {
  const layer: Layer = { base: EVALUATE, over }
  const fixed = fixedProblems(layer, FIXED_OF_EVALUATE)
  if (fixed.length > 0) return { spec: null, problems: fixed, unused: [] }
  return sized(parseLayered(transferSpecSchema, presetTransfer(preset, choice), [layer]), imagePx)
}
