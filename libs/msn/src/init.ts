/** Initial values. Each parameter has a stream of its own, so adding layers or another method never changes the others' draws. */
import type { Uniform } from './masks.ts'
import type { ParameterSpec } from './parameters.ts'
import { sizeOf } from './parameters.ts'
import type { StateArrays } from './step.ts'

/** The uniform stream of a parameter, a pure function of its name (and of the run's seed, behind the caller). */
export type ParameterDraws = (name: string) => Uniform

/** Standard normal by Box-Muller; the second value is thrown away, so value i depends on draws 2i and 2i + 1 alone. */
function normal(uniform: Uniform): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
  return radius * Math.cos(2 * Math.PI * uniform())
}

/**
 * Values of one parameter. `normal` stands for timm's trunc_normal_(std = .02), whose bounds of +-2 are absolute, a hundred
 * deviations away: no value is ever cut.
 */
export function initialValues(spec: ParameterSpec, uniform: Uniform): Float32Array {
  const values = new Float32Array(sizeOf(spec.shape))
  const { init } = spec
  if (init.kind === 'constant') return values.fill(init.value)
  for (let i = 0; i < values.length; i++) {
    values[i] = init.kind === 'uniform' ? (2 * uniform() - 1) * init.bound : init.std * normal(uniform)
  }
  return values
}

/** Arrays by name, each under `prefix`; the draws are asked by plain name, so online and target streams are the same. */
export function initialArrays(specs: readonly ParameterSpec[], draws: ParameterDraws, prefix = ''): StateArrays {
  return Object.fromEntries(specs.map((spec) => [prefix + spec.name, initialValues(spec, draws(spec.name))]))
}
