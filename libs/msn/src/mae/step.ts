/**
 * The MAE training step (He et al. 2022, arXiv 2111.06377): encoder on kept patches, decoder, loss on masked patches, AdamW.
 *
 * State: `online.<parameter>` (backbone by its plain names, decoder under `decoder.`), `adam.m.<parameter>`, `adam.v.<parameter>`.
 */
import type { Tensor } from '@tensorflow/tfjs'
import { ADAM_SCALARS } from '../adamw.ts'
import { globalNorm } from '../diagnostics.ts'
import { initialArrays, type ParameterDraws } from '../init.ts'
import { differentiateAtOnce, differentiateInPieces, inPieces } from '../micro-batches.ts'
import { optimise, type Trained } from '../optimise.ts'
import { parameter, prefixed, scoped, shapesOf, zeroArrays } from '../parameters.ts'
import { optimiserScalars, type StepPosition } from '../schedules.ts'
import type { StateArrays, Step, StepSignature, TensorMap } from '../step.ts'
import { tf } from '../tf.ts'
import { type MaeConfig, type MaeLayout, maeLayout } from './config.ts'
import { maeLoss, normalisedPatches } from './loss.ts'
import { maeParameters, maePredictions } from './network.ts'

/** What a training step hands out, all scalars; `explained` is the share of the masked patches' variance that is predicted. */
export const MAE_OUTPUTS = ['loss', 'explained', 'gradNorm'] as const
export type MaeOutput = (typeof MAE_OUTPUTS)[number]

/** Names of the scalars that an MAE training step takes. */
export const MAE_SCALARS = ADAM_SCALARS

export function maeScalars(
  { optimiser, epochs }: Pick<MaeConfig, 'optimiser' | 'epochs'>,
  position: StepPosition,
): Record<(typeof MAE_SCALARS)[number], number> {
  return optimiserScalars(optimiser, epochs, position)
}

/**
 * One training step on `batch` images.
 * @throws MsnConfigError where the configuration is impossible
 */
export function maeTrainStep(config: MaeConfig, batch: number): Step {
  const layout = maeLayout(config, batch)
  return {
    name: `mae-train-${batch}`,
    signature: maeSignature(config, layout),
    run: (state, arrays, scalars) => {
      const { loss, wanted, gradients } = maePass(config, layout, scoped(state, 'online.'), arrays)
      const updated = optimise(config.optimiser, trainedOf(config), state, gradients, scalars)
      return {
        state: updated,
        outputs: { loss, explained: explained(loss, wanted), gradNorm: globalNorm(Object.values(gradients)) },
      }
    },
  }
}

/**
 * The same pass without any update, for naming what went bad: `wanted` and `predicted` [batch, masked, patchDim], `loss`,
 * `grad.<parameter>`.
 */
export function maeProbeStep(config: MaeConfig, batch: number): Step {
  const layout = maeLayout(config, batch)
  return {
    name: `mae-probe-${batch}`,
    signature: maeSignature(config, layout),
    run: (state, arrays) => {
      const { wanted, predicted, loss, gradients } = maePass(config, layout, scoped(state, 'online.'), arrays)
      return { state: {}, outputs: { wanted, predicted, loss, ...prefixed(gradients, 'grad.') } }
    },
  }
}

function maeSignature(config: MaeConfig, { batch, kept, masked, patches, patchDim }: MaeLayout): StepSignature {
  const specs = maeParameters(config)
  return {
    state: { ...shapesOf(specs, 'online.'), ...shapesOf(specs, 'adam.m.'), ...shapesOf(specs, 'adam.v.') },
    batch: {
      'kept.patches': [batch, kept, patchDim],
      'kept.positions': [batch, kept, patches],
      'masked.patches': [batch, masked, patchDim],
      'masked.positions': [batch, masked, patches],
    },
    scalars: MAE_SCALARS,
  }
}

/** State before the first step. @param draws as in msnInitialState */
export function maeInitialState(config: MaeConfig, draws: ParameterDraws): StateArrays {
  const specs = maeParameters(config)
  return { ...initialArrays(specs, draws, 'online.'), ...zeroArrays(specs, 'adam.m.'), ...zeroArrays(specs, 'adam.v.') }
}

const trainedOf = (config: MaeConfig): Trained[] =>
  maeParameters(config).map((spec) => ({ spec, stateName: `online.${spec.name}` }))

interface MaePass {
  readonly loss: Tensor
  /** [batch, masked, patchDim] */
  readonly wanted: Tensor
  readonly predicted: Tensor
  readonly gradients: TensorMap
}

/** Loss and gradients of one batch. Everything up to the predictions sees one image at a time, so it may go in micro-batches. */
function maePass(config: MaeConfig, layout: MaeLayout, online: TensorMap, batch: TensorMap): MaePass {
  const masked = parameter(batch, 'masked.patches')
  const wanted = config.normPixels ? normalisedPatches(masked) : masked
  const { masked: count, patchDim } = layout
  const inputs = Object.fromEntries(
    ['kept.patches', 'kept.positions', 'masked.positions'].map((name) => [name, parameter(batch, name)]),
  )
  const work = {
    tensors: online,
    trunkNames: maeParameters(config).map(({ name }) => name),
    headNames: [],
    pieces: inPieces(inputs, config.microBatch ?? null, (params, piece) =>
      tf.reshape(maePredictions(config, layout, params, piece), [-1, count * patchDim]),
    ),
    head: (_: TensorMap, rows: Tensor) => {
      const predicted = tf.reshape(rows, [layout.batch, count, patchDim])
      return { loss: maeLoss(predicted, wanted), extras: { predicted } }
    },
  }
  const { loss, gradients, extras } = config.microBatch ? differentiateInPieces(work, [wanted]) : differentiateAtOnce(work)
  return { loss, wanted, predicted: parameter(extras, 'predicted'), gradients }
}

/** 1 - loss / variance of what is wanted; blank images, which have none, count as a variance of 1e-6. */
function explained(loss: Tensor, wanted: Tensor): Tensor {
  const variance = tf.mean(tf.square(tf.sub(wanted, tf.mean(wanted))))
  return tf.sub(1, tf.div(loss, tf.maximum(variance, 1e-6)))
}
