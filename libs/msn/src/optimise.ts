/** One AdamW update of everything that a pretraining step trains, whatever its method. */
import type { Tensor } from '@tensorflow/tfjs'
import { type AdamScalars, adamW, clipFactor, isDecayed } from './adamw.ts'
import type { OptimiserConfig } from './config.ts'
import { globalNorm } from './diagnostics.ts'
import { type ParameterSpec, parameter } from './parameters.ts'
import type { TensorMap } from './step.ts'
import { tf } from './tf.ts'

/** A trained parameter: its plain name is that of its gradient and of its moments, `adam.m|v.<name>`. */
export interface Trained {
  readonly spec: ParameterSpec
  /** Name of its value in the state. */
  readonly stateName: string
  /** Prototypes of MSN are neither clipped nor decayed. */
  readonly isPrototypes?: boolean
  /** A parameter that stands still for a while: its own bias corrections, and `moves`, 1 or 0. */
  readonly held?: { readonly adam1: Tensor; readonly adam2: Tensor; readonly moves: Tensor }
}

/**
 * The new state entries of `trained`. Gradients are clipped to `clipNorm` by their joint norm, prototypes left out.
 * @param gradients by plain name @param scalars `lr`, `wd`, `adam1`, `adam2`
 */
export function optimise(
  config: OptimiserConfig,
  trained: readonly Trained[],
  state: TensorMap,
  gradients: TensorMap,
  scalars: TensorMap,
): TensorMap {
  const { clipNorm, weightDecay } = config
  const clipped = trained.filter(({ isPrototypes }) => !isPrototypes).map(({ spec }) => parameter(gradients, spec.name))
  const factor = clipNorm === null ? null : clipFactor(globalNorm(clipped), clipNorm)
  const [lr, wd] = [parameter(scalars, 'lr'), parameter(scalars, 'wd')]
  const common: AdamScalars = { lr, wd, adam1: parameter(scalars, 'adam1'), adam2: parameter(scalars, 'adam2') }
  const updated: TensorMap = {}
  for (const { spec, stateName, isPrototypes, held } of trained) {
    const raw = parameter(gradients, spec.name)
    const gradient = factor === null || isPrototypes ? raw : tf.mul(raw, factor)
    const names = { value: stateName, m: `adam.m.${spec.name}`, v: `adam.v.${spec.name}` }
    const before = {
      value: parameter(state, names.value),
      m: parameter(state, names.m),
      v: parameter(state, names.v),
    }
    const adam = held ? { ...common, adam1: held.adam1, adam2: held.adam2 } : common
    const after = adamW(before, gradient, adam, config, !isPrototypes && isDecayed(spec, weightDecay.skip1d))
    for (const part of ['value', 'm', 'v'] as const)
      updated[names[part]] = held ? either(held.moves, after[part], before[part]) : after[part]
  }
  return updated
}

/** `moved` where `moves` is 1 and `still` where it is 0, to the bit. */
function either(moves: Tensor, moved: Tensor, still: Tensor): Tensor {
  return tf.add(tf.mul(moved, moves), tf.mul(still, tf.sub(1, moves)))
}
