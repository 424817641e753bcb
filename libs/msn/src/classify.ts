/** Evaluation steps: frozen features, a linear head on them, and the whole network fine-tuned. */
import type { Tensor } from '@tensorflow/tfjs'
import { ADAM_SCALARS, type AdamConfig, type AdamScalars, adamW, biasCorrections } from './adamw.ts'
import { backboneFeatures, backboneParameters } from './backbone.ts'
import { bceWithLogits } from './bce.ts'
import { type BackboneConfig, checkBackbone, checkMicroBatch, gridOf } from './config.ts'
import { type Differentiated, differentiate } from './gradients.ts'
import { initialArrays, type ParameterDraws } from './init.ts'
import { differentiateAtOnce, differentiateInPieces, inPieces, type TrunkAndHead } from './micro-batches.ts'
import { linear } from './ops.ts'
import {
  fanInUniform,
  type ParameterSpec,
  type Parameters,
  parameter,
  prefixed,
  scoped,
  shapesOf,
  zeroArrays,
} from './parameters.ts'
import type { Shape, StateArrays, Step, TensorMap } from './step.ts'
import { tf } from './tf.ts'

export interface LinearHeadConfig extends AdamConfig {
  /** Width of the features. */
  readonly dim: number
  readonly labels: number
  readonly batch: number
}

export interface FinetuneConfig extends AdamConfig {
  readonly labels: number
  readonly batch: number
  /** Images that pass the backbone at a time, which bounds the memory of a step; null or absent: all. Same results. */
  readonly microBatch?: number | null
}

/** Linear(dim -> labels), initialised as PyTorch's Linear. */
export function linearHeadParameters(dim: number, labels: number): ParameterSpec[] {
  return [
    { name: 'head.weight', shape: [labels, dim], init: fanInUniform(dim) },
    { name: 'head.bias', shape: [labels], init: fanInUniform(dim) },
  ]
}

const scopedBackbone = (backbone: BackboneConfig): ParameterSpec[] =>
  backboneParameters(backbone).map((spec) => ({ ...spec, name: `backbone.${spec.name}` }))

function patchShape(backbone: BackboneConfig, batch: number): Shape {
  checkBackbone(backbone)
  return [batch, gridOf(backbone, backbone.imagePx) ** 2, 3 * backbone.patchPx ** 2]
}

function featuresOf(backbone: BackboneConfig, params: Parameters, patches: Tensor): Tensor {
  const grid = gridOf(backbone, backbone.imagePx)
  return backboneFeatures(backbone, scoped(params, 'backbone.'), { patches, positions: null, grid })
}

/**
 * Inference of a frozen backbone. State `backbone.*`, batch `patches` [batch, grid^2, 3 * patchPx^2], output `features`
 * [batch, dim]: the class token after the final LayerNorm.
 */
export function featuresStep(backbone: BackboneConfig, batch: number): Step {
  return {
    name: `features-${batch}`,
    signature: { state: shapesOf(scopedBackbone(backbone)), batch: { patches: patchShape(backbone, batch) }, scalars: [] },
    run: (state, arrays) => ({ state: {}, outputs: { features: featuresOf(backbone, state, parameter(arrays, 'patches')) } }),
  }
}

/**
 * Adam on a linear head. State `head.weight` [labels, dim], `head.bias` [labels] and their moments; batch `features`
 * [batch, dim], `targets` and `weights` [batch, labels] (weight 0 leaves an entry out, so a short last batch needs no shape of
 * its own); scalars as classifierScalars gives them; output `loss`, the weighted mean binary cross-entropy.
 */
export function linearHeadStep(config: LinearHeadConfig): Step {
  const { dim, labels, batch } = config
  const specs = linearHeadParameters(dim, labels)
  return {
    name: `linear-head-${batch}x${labels}`,
    signature: {
      state: trainingShapes(specs),
      batch: { features: [batch, dim], targets: [batch, labels], weights: [batch, labels] },
      scalars: ADAM_SCALARS,
    },
    run: (state, arrays, scalars) =>
      adamOnLoss(specs, config, state, scalars, (params) => {
        const logits = headLogits(params, parameter(arrays, 'features'))
        return bceWithLogits(logits, parameter(arrays, 'targets'), parameter(arrays, 'weights'))
      }),
  }
}

/** Inference of a linear head. State `head.*`, batch `features` [batch, dim], outputs `logits` and sigmoid `scores` [batch, labels]. */
export function headScoresStep(config: Pick<LinearHeadConfig, 'dim' | 'labels' | 'batch'>): Step {
  const { dim, labels, batch } = config
  return {
    name: `head-scores-${batch}x${labels}`,
    signature: { state: shapesOf(linearHeadParameters(dim, labels)), batch: { features: [batch, dim] }, scalars: [] },
    run: (state, arrays) => {
      const logits = headLogits(state, parameter(arrays, 'features'))
      return { state: {}, outputs: { logits, scores: tf.div(1, tf.add(tf.exp(tf.neg(logits)), 1)) } }
    },
  }
}

/**
 * Adam on backbone and head together. State `backbone.*`, `head.*` and their moments; batch `patches` [batch, grid^2,
 * 3 * patchPx^2], `targets` and `weights` [batch, labels]; scalars and output as in linearHeadStep.
 */
export function finetuneStep(backbone: BackboneConfig, config: FinetuneConfig): Step {
  const { labels, batch, microBatch } = config
  checkMicroBatch(microBatch)
  const specs = finetuneParameters(backbone, labels)
  return {
    name: `finetune-${batch}x${labels}`,
    signature: {
      state: trainingShapes(specs),
      batch: { patches: patchShape(backbone, batch), targets: [batch, labels], weights: [batch, labels] },
      scalars: ADAM_SCALARS,
    },
    run: (state, arrays, scalars) => {
      const work: TrunkAndHead = {
        tensors: state,
        trunkNames: scopedBackbone(backbone).map(({ name }) => name),
        headNames: linearHeadParameters(backbone.dim, labels).map(({ name }) => name),
        pieces: inPieces({ patches: parameter(arrays, 'patches') }, microBatch ?? null, (params, inputs) =>
          featuresOf(backbone, params, parameter(inputs, 'patches')),
        ),
        head: (params, features) => {
          const logits = headLogits(params, features)
          return { loss: bceWithLogits(logits, parameter(arrays, 'targets'), parameter(arrays, 'weights')), extras: {} }
        },
      }
      return adamUpdate(specs, config, state, scalars, microBatch ? differentiateInPieces(work, []) : differentiateAtOnce(work))
    },
  }
}

/** Shapes of all that an evaluation may train: `head.*` and `backbone.*`. */
export function classifierShapes(backbone: BackboneConfig, labels: number): Record<string, Shape> {
  return shapesOf(finetuneParameters(backbone, labels))
}

function finetuneParameters(backbone: BackboneConfig, labels: number): ParameterSpec[] {
  return [...scopedBackbone(backbone), ...linearHeadParameters(backbone.dim, labels)]
}

/** Scalars of the classifiers' steps; `step` counts updates from 0. */
export function classifierScalars(at: {
  readonly lr: number
  readonly weightDecay: number
  readonly betas: readonly [number, number]
  readonly step: number
}): Record<(typeof ADAM_SCALARS)[number], number> {
  return { lr: at.lr, wd: at.weightDecay, ...biasCorrections(at.betas, at.step) }
}

/** State of linearHeadStep before its first update. */
export function linearHeadInitialState(dim: number, labels: number, draws: ParameterDraws): StateArrays {
  return withMoments(linearHeadParameters(dim, labels), initialArrays(linearHeadParameters(dim, labels), draws))
}

/** State of finetuneStep before its first update: a pretrained backbone (`backbone.*`, copied) under a fresh head. */
export function finetuneInitialState(
  backbone: BackboneConfig,
  labels: number,
  pretrained: Readonly<StateArrays>,
  draws: ParameterDraws,
): StateArrays {
  const copied = scopedBackbone(backbone).map(({ name }) => {
    const values = pretrained[name]
    if (!values) throw new RangeError(`no parameter ${name}`)
    return [name, values.slice()]
  })
  const head = initialArrays(linearHeadParameters(backbone.dim, labels), draws)
  return withMoments(finetuneParameters(backbone, labels), { ...Object.fromEntries(copied), ...head })
}

/** A backbone without any pretraining: the same draws, by plain name, as those of a pretraining's start. Keys `backbone.*`. */
export function backboneInitialState(backbone: BackboneConfig, draws: ParameterDraws): StateArrays {
  return initialArrays(backboneParameters(backbone), draws, 'backbone.')
}

/** First parts of the names that a backbone's parameters have; heads, fusion and decoder have others. */
const BACKBONE_PARTS = new Set(['cls_token', 'pos_embed', 'patch_embed', 'blocks', 'norm'])

/** The backbone of one of the networks in a pretraining's state, as keys `backbone.*`; arrays are shared with `state`. */
export function backboneOf(state: Readonly<StateArrays>, network: 'target' | 'online'): StateArrays {
  const own = Object.entries(scoped(state, `${network}.`)).filter(([name]) => BACKBONE_PARTS.has(name.split('.')[0]!))
  return prefixed(Object.fromEntries(own), 'backbone.')
}

function headLogits(params: Parameters, features: Tensor): Tensor {
  return linear(features, parameter(params, 'head.weight'), parameter(params, 'head.bias'))
}

function trainingShapes(specs: readonly ParameterSpec[]): Record<string, Shape> {
  return { ...shapesOf(specs), ...shapesOf(specs, 'adam.m.'), ...shapesOf(specs, 'adam.v.') }
}

function withMoments(specs: readonly ParameterSpec[], values: StateArrays): StateArrays {
  return { ...values, ...zeroArrays(specs, 'adam.m.'), ...zeroArrays(specs, 'adam.v.') }
}

/** One Adam update of `specs` against a scalar loss. */
function adamOnLoss(
  specs: readonly ParameterSpec[],
  config: AdamConfig,
  state: TensorMap,
  scalars: TensorMap,
  lossOf: (params: TensorMap) => Tensor,
): { state: TensorMap; outputs: TensorMap } {
  const names = specs.map(({ name }) => name)
  return adamUpdate(
    specs,
    config,
    state,
    scalars,
    differentiate(state, names, (params) => ({ loss: lossOf(params), extras: {} })),
  )
}

/** One Adam update of `specs` by their gradients. Weight decay, where asked for, is AdamW's. */
function adamUpdate(
  specs: readonly ParameterSpec[],
  config: AdamConfig,
  state: TensorMap,
  scalars: TensorMap,
  { loss, gradients }: Pick<Differentiated, 'loss' | 'gradients'>,
): { state: TensorMap; outputs: TensorMap } {
  const adam = Object.fromEntries(ADAM_SCALARS.map((name) => [name, parameter(scalars, name)])) as unknown as AdamScalars
  const updated: TensorMap = {}
  for (const { name } of specs) {
    const entry = { value: parameter(state, name), m: parameter(state, `adam.m.${name}`), v: parameter(state, `adam.v.${name}`) }
    const after = adamW(entry, parameter(gradients, name), adam, config, true)
    updated[name] = after.value
    updated[`adam.m.${name}`] = after.m
    updated[`adam.v.${name}`] = after.v
  }
  return { state: updated, outputs: { loss } }
}
