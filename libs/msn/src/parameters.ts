/** Named parameters: shapes, initial values and scopes. */
import type { Tensor } from '@tensorflow/tfjs'
import type { Shape, StateArrays } from './step.ts'

/** How a parameter starts. Bounds and deviations are those of the layer's usual PyTorch or timm initialisation. */
export type Initialiser =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'normal'; readonly std: number }

export interface ParameterSpec {
  readonly name: string
  readonly shape: Shape
  readonly init: Initialiser
}

/** Parameters of one network by their plain names (`blocks.0.norm1.weight`). */
export type Parameters = Readonly<Record<string, Tensor>>

export const zeros: Initialiser = { kind: 'constant', value: 0 }
export const ones: Initialiser = { kind: 'constant', value: 1 }
/** U(+-1/sqrt(fanIn)): PyTorch's default for Linear and convolution, weight (kaiming uniform, a = sqrt 5) and bias. */
export const fanInUniform = (fanIn: number): Initialiser => ({ kind: 'uniform', bound: 1 / Math.sqrt(fanIn) })

export const sizeOf = (shape: Shape): number => shape.reduce((product, side) => product * side, 1)

/** The parameter, or an error that names what is missing. */
export function parameter(params: Parameters, name: string): Tensor {
  const tensor = params[name]
  if (!tensor) throw new RangeError(`no parameter ${name}`)
  return tensor
}

/** Shapes by name, each under `prefix`. */
export function shapesOf(specs: readonly ParameterSpec[], prefix = ''): Record<string, Shape> {
  return Object.fromEntries(specs.map(({ name, shape }) => [prefix + name, shape]))
}

/** The entries under `prefix`, without it. */
export function scoped<T>(entries: Readonly<Record<string, T>>, prefix: string): Record<string, T> {
  const own = Object.entries(entries).filter(([name]) => name.startsWith(prefix))
  return Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]))
}

/** The same entries with `prefix` before each name. */
export function prefixed<T>(entries: Readonly<Record<string, T>>, prefix: string): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [prefix + name, value]))
}

/** Zero-filled arrays for `specs`. */
export function zeroArrays(specs: readonly ParameterSpec[], prefix = ''): StateArrays {
  return Object.fromEntries(specs.map(({ name, shape }) => [prefix + name, new Float32Array(sizeOf(shape))]))
}
