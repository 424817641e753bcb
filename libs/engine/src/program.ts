/** A traced step: a flat list of operations in the order of execution, in single assignment form. */

export type DType = 'float32' | 'int32' | 'bool'
export type ValueId = number

/** A value known before the step runs. A splat is one number that fills the whole shape, so that models stay small. */
export type Literal =
  | { readonly kind: 'splat'; readonly value: number }
  | { readonly kind: 'array'; readonly data: Float32Array | Int32Array | Uint8Array }

export interface Value {
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly literal?: Literal
}

export const UNARY_KINDS = [
  'Abs',
  'Ceil',
  'Cos',
  'Erf',
  'Exp',
  'Expm1',
  'Floor',
  'Identity',
  'Log',
  'Log1p',
  'LogicalNot',
  'Neg',
  'Reciprocal',
  'Relu',
  'Round',
  'Rsqrt',
  'Sigmoid',
  'Sign',
  'Sin',
  'Softplus',
  'Sqrt',
  'Square',
  'Tanh',
] as const
export type UnaryKind = (typeof UNARY_KINDS)[number]

export const ARITHMETIC_KINDS = ['Add', 'Sub', 'Multiply', 'RealDiv', 'Pow', 'Maximum', 'Minimum', 'SquaredDifference'] as const
export type ArithmeticKind = (typeof ARITHMETIC_KINDS)[number]

export const COMPARISON_KINDS = [
  'Equal',
  'NotEqual',
  'Greater',
  'GreaterEqual',
  'Less',
  'LessEqual',
  'LogicalAnd',
  'LogicalOr',
] as const
export type ComparisonKind = (typeof COMPARISON_KINDS)[number]

export const REDUCTION_KINDS = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'Any', 'All'] as const
export type ReductionKind = (typeof REDUCTION_KINDS)[number]

/** Shapes that an operation only needs for its result are not attributes: they are the shape of its output value. */
export type NoAttributes = Readonly<Record<never, never>>

type ElementwiseAttributes = Record<UnaryKind | ArithmeticKind | ComparisonKind, NoAttributes>
type ReductionAttributes = Record<ReductionKind, { readonly axes: readonly number[]; readonly keepDims: boolean }>

/** Attributes by kind. Axes are not negative; `size` and `sizes` are resolved. */
export interface OpAttributes extends ElementwiseAttributes, ReductionAttributes {
  AddN: NoAttributes
  /** x > 0 ? 1 : alpha. */
  Step: { readonly alpha: number }
  ClipByValue: { readonly low: number; readonly high: number }
  Cast: NoAttributes
  /** inputs: condition, where true, where false. */
  Select: NoAttributes
  Reshape: NoAttributes
  BroadcastTo: NoAttributes
  Transpose: { readonly permutation: readonly number[] }
  Slice: { readonly begin: readonly number[]; readonly size: readonly number[] }
  PadV2: { readonly paddings: readonly (readonly [number, number])[]; readonly value: number }
  Concat: { readonly axis: number }
  SplitV: { readonly axis: number; readonly sizes: readonly number[] }
  Tile: { readonly repeats: readonly number[] }
  /** inputs: values, int32 indices. */
  GatherV2: { readonly axis: number }
  OneHot: { readonly depth: number; readonly on: number; readonly off: number }
  ArgMax: { readonly axis: number }
  Softmax: { readonly axis: number }
  LogSoftmax: { readonly axis: number }
  BatchMatMul: { readonly transposeA: boolean; readonly transposeB: boolean }
  /** Its first input, but not before the others are computed. Two of them are never one. */
  Barrier: NoAttributes
}
export type OpKind = keyof OpAttributes

export interface OpOf<K extends OpKind> {
  readonly kind: K
  readonly inputs: readonly ValueId[]
  readonly outputs: readonly ValueId[]
  readonly attributes: OpAttributes[K]
}
/** A discriminated union on `kind`. */
export type Op = { [K in OpKind]: OpOf<K> }[OpKind]

export interface Program {
  readonly ops: readonly Op[]
  /** Indexed by ValueId. Values that no operation uses any more stay in the list. */
  readonly values: readonly Value[]
  readonly inputs: Readonly<Record<string, ValueId>>
  readonly outputs: Readonly<Record<string, ValueId>>
}

/** The value of an id; ids are only made by the tracer and the passes, so an unknown one is a programming error. */
export function valueAt(program: Pick<Program, 'values'>, id: ValueId): Value {
  const value = program.values[id]
  if (value === undefined) throw new RangeError(`the program has no value ${id}`)
  return value
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis])
}
