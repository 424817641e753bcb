/**
 * The MSN training step (Assran et al., arXiv 2204.07141) with EHR fusion on the anchor side (Shurrab et al. 2024):
 * forward of both networks, loss, backward, clipping, AdamW, moving average of the target.
 *
 * State: `online.<parameter>`, `target.<parameter>`, `online|target.<batch norm>.running_mean|var`, `prototypes`,
 * `adam.m.<trained>`, `adam.v.<trained>`.
 */
import { type MsnConfig, msnLayout } from './config.ts'
import { distinctShare, globalNorm, meanPairwiseCosine, meanRowEntropy, meanRowMax } from './diagnostics.ts'
import { movingAverage } from './ema.ts'
import { initialArrays, initialValues, type ParameterDraws } from './init.ts'
import { type MsnNetworks, type MsnPass, msnBatchShapes, msnParameters, msnPass } from './msn-forward.ts'
import { optimise, type Trained } from './optimise.ts'
import { parameter, prefixed, scoped, shapesOf, zeroArrays } from './parameters.ts'
import { MSN_SCALARS } from './schedules.ts'
import type { StateArrays, Step, StepSignature, TensorMap } from './step.ts'

/** What a training step hands out, all scalars. */
export const MSN_OUTPUTS = ['loss', 'ce', 'memax', 'entropy', 'distinct', 'maxT', 'cosine', 'gradNorm'] as const
export type MsnOutput = (typeof MSN_OUTPUTS)[number]

/**
 * One training step on `batch` images.
 * @throws MsnConfigError where the configuration is impossible
 */
export function msnTrainStep(config: MsnConfig, batch: number): Step {
  return {
    name: `msn-train-${batch}`,
    signature: msnSignature(config, batch),
    run: (state, arrays, scalars) => {
      const networks = networksOf(config, state, scalars)
      const pass = msnPass(config, batch, networks, arrays)
      const updated = optimise(config.optimiser, trainedOf(config), state, pass.gradients, scalars)
      const target = targetAfter(config, networks, updated, scalars)
      return {
        state: {
          ...updated,
          ...prefixed(pass.onlineBuffers, 'online.'),
          ...prefixed(target, 'target.'),
          ...prefixed(pass.targetBuffers, 'target.'),
        },
        outputs: diagnose(pass),
      }
    },
  }
}

/**
 * The same forward and backward pass without any update, for parity checks: hands out `loss`, `ce`, `memax`, `z` [rows, out],
 * `zTarget` [batch, out], `t` [batch, K], `p` [rows, K], `headInput` [rows, dim] and `grad.<parameter>`; with
 * `apply: 'before-forward'` the target is mixed first, as in the training step.
 */
export function msnProbeStep(config: MsnConfig, batch: number): Step {
  return {
    name: `msn-probe-${batch}`,
    signature: msnSignature(config, batch),
    run: (state, arrays, scalars) => {
      const { values, gradients } = msnPass(config, batch, networksOf(config, state, scalars), arrays)
      const { logP: _, ...shown } = values
      return { state: {}, outputs: { ...shown, ...prefixed(gradients, 'grad.') } }
    },
  }
}

function msnSignature(config: MsnConfig, batch: number): StepSignature {
  const { online, target, buffers, prototypes, trained } = msnParameters(config)
  return {
    state: {
      ...shapesOf(online, 'online.'),
      ...shapesOf(buffers, 'online.'),
      ...shapesOf(target, 'target.'),
      ...shapesOf(buffers, 'target.'),
      ...shapesOf([prototypes]),
      ...shapesOf(trained, 'adam.m.'),
      ...shapesOf(trained, 'adam.v.'),
    },
    batch: msnBatchShapes(config, msnLayout(config, batch)),
    scalars: MSN_SCALARS,
  }
}

/**
 * State before the first step. The target starts as a copy of the online network, in arrays of its own.
 * @param draws one uniform stream a parameter, asked by plain name (`blocks.0.mlp.fc1.weight`, `prototypes`)
 */
export function msnInitialState(config: MsnConfig, draws: ParameterDraws): StateArrays {
  const { online, target, buffers, prototypes, trained } = msnParameters(config)
  const start = initialArrays(online, draws)
  const copied = Object.fromEntries(target.map(({ name }) => [`target.${name}`, start[name]!.slice()]))
  return {
    ...prefixed(start, 'online.'),
    ...initialArrays(buffers, draws, 'online.'),
    ...copied,
    ...initialArrays(buffers, draws, 'target.'),
    prototypes: initialValues(prototypes, draws(prototypes.name)),
    ...zeroArrays(trained, 'adam.m.'),
    ...zeroArrays(trained, 'adam.v.'),
  }
}

const stateName = (trained: string): string => (trained === 'prototypes' ? trained : `online.${trained}`)

function networksOf(config: MsnConfig, state: TensorMap, scalars: TensorMap): MsnNetworks {
  const names = msnParameters(config)
  const select = (prefix: string, specs: readonly { readonly name: string }[]): TensorMap =>
    Object.fromEntries(specs.map(({ name }) => [name, parameter(state, prefix + name)]))
  const online = select('online.', names.online)
  const target = select('target.', names.target)
  return {
    online,
    onlineBuffers: select('online.', names.buffers),
    target: config.target.apply === 'before-forward' ? average(target, online, scalars) : target,
    targetBuffers: select('target.', names.buffers),
    prototypes: parameter(state, 'prototypes'),
  }
}

function average(target: TensorMap, online: TensorMap, scalars: TensorMap): TensorMap {
  return movingAverage(target, online, parameter(scalars, 'momentum'), parameter(scalars, 'targetMix'))
}

/** The target that the next step starts from: already mixed before the forward, or mixed now with the updated weights. */
function targetAfter(config: MsnConfig, networks: MsnNetworks, updated: TensorMap, scalars: TensorMap): TensorMap {
  if (config.target.apply === 'before-forward') return { ...networks.target }
  return average({ ...networks.target }, scoped(updated, 'online.'), scalars)
}

/** What AdamW updates, in a fixed order. */
function trainedOf(config: MsnConfig): Trained[] {
  return msnParameters(config).trained.map((spec) => ({
    spec,
    stateName: stateName(spec.name),
    isPrototypes: spec.name === 'prototypes',
  }))
}

/** `gradNorm` is the norm over everything trained, before clipping. */
function diagnose({ values, gradients }: MsnPass): Record<MsnOutput, TensorMap[string]> {
  const value = (name: string): TensorMap[string] => parameter(values, name)
  return {
    loss: value('loss'),
    ce: value('ce'),
    memax: value('memax'),
    entropy: meanRowEntropy(value('p'), value('logP')),
    distinct: distinctShare(value('t')),
    maxT: meanRowMax(value('t')),
    cosine: meanPairwiseCosine(value('z')),
    gradNorm: globalNorm(Object.values(gradients)),
  }
}
