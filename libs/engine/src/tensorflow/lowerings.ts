/** How each operation of a program is written in TensorFlow operators. */
import type { DType, Op, OpAttributes, OpKind, OpOf } from '../program.ts'
import type { NodeList } from './node-list.ts'
import { type Attributes, attribute } from './proto.ts'

/** What the graph holds of a value. Products, and what moves numbers between them, may be bfloat16. */
export interface Operand {
  readonly shape: readonly number[]
  readonly dtype: DType | 'bfloat16'
}

/** One operation with references to its operands. */
export interface Site {
  readonly nodes: NodeList
  readonly inputs: readonly string[]
  readonly inputValues: readonly Operand[]
  readonly outputValues: readonly Operand[]
}
/** Gives references to the results. */
type Lowering<K extends OpKind> = (op: OpOf<K>, site: Site) => readonly string[]
type Lowerings = { readonly [K in OpKind]: Lowering<K> }
/** Any operation with attributes of this form. */
interface OpWith<A> {
  readonly attributes: A
}

const INT32 = attribute.type('int32')

/** The type of an operand that is never bfloat16: of all but products and moves. */
function plainType({ dtype }: Operand): DType {
  if (dtype === 'bfloat16') throw new RangeError('the operation does not compute in bfloat16')
  return dtype
}

/** Attribute T: the type of an operand. */
function typed(site: Site, operand = 0): Attributes {
  return { T: attribute.type(site.inputValues[operand]!.dtype) }
}

/** The operation has an operator of the same meaning. */
function direct(operator: string, attributes: Attributes = {}): (op: unknown, site: Site) => string[] {
  return (_, site) => [site.nodes.value(operator, site.inputs, { ...typed(site), ...attributes })]
}

/** Operators on booleans have no type attribute. */
function logical(operator: string): (op: unknown, site: Site) => string[] {
  return (_, { nodes, inputs }) => [nodes.value(operator, inputs)]
}

function reduce(operator: string): (op: OpWith<OpAttributes['Sum']>, site: Site) => string[] {
  return ({ attributes: { axes, keepDims } }, site) => {
    const type = operator === 'Any' || operator === 'All' ? {} : typed(site)
    const attributes = { ...type, Tidx: INT32, keep_dims: attribute.bool(keepDims) }
    return [site.nodes.value(operator, [site.inputs[0]!, site.nodes.integers(axes)], attributes)]
  }
}

/** Softmax and LogSoftmax work on the last axis; another axis is brought there and back. */
function alongLastAxis(operator: string): (op: OpWith<{ readonly axis: number }>, site: Site) => string[] {
  return ({ attributes: { axis } }, site) => {
    const { nodes, inputs } = site
    const rank = site.inputValues[0]!.shape.length
    if (axis === rank - 1) return [nodes.value(operator, inputs, typed(site))]
    const order = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
    const swap = (x: string): string => nodes.value('Transpose', [x, nodes.integers(order)], { ...typed(site), Tperm: INT32 })
    return [swap(nodes.value(operator, [swap(inputs[0]!)], typed(site)))]
  }
}

const COMPARE_ANY_SHAPES = { incompatible_shape_error: attribute.bool(true) }

/** Which of the two product operators takes these operands: MatMul has no batch. */
const matMul: Lowering<'BatchMatMul'> = ({ attributes: { transposeA, transposeB } }, site) => {
  const { nodes, inputs } = site
  const [a, b] = [attribute.bool(transposeA), attribute.bool(transposeB)]
  if (site.inputValues.every(({ shape }) => shape.length === 2))
    return [nodes.value('MatMul', inputs, { ...typed(site), transpose_a: a, transpose_b: b })]
  return [nodes.value('BatchMatMulV2', inputs, { ...typed(site), adj_x: a, adj_y: b })]
}

const LOWERINGS: Lowerings = {
  Abs: direct('Abs'),
  Ceil: direct('Ceil'),
  Cos: direct('Cos'),
  Erf: direct('Erf'),
  Exp: direct('Exp'),
  Expm1: direct('Expm1'),
  Floor: direct('Floor'),
  Identity: direct('Identity'),
  Log: direct('Log'),
  Log1p: direct('Log1p'),
  LogicalNot: logical('LogicalNot'),
  Neg: direct('Neg'),
  Reciprocal: direct('Reciprocal'),
  Relu: direct('Relu'),
  Round: direct('Round'),
  Rsqrt: direct('Rsqrt'),
  Sigmoid: direct('Sigmoid'),
  Sign: direct('Sign'),
  Sin: direct('Sin'),
  Softplus: direct('Softplus'),
  Sqrt: direct('Sqrt'),
  Square: direct('Square'),
  Tanh: direct('Tanh'),

  Add: direct('AddV2'),
  Sub: direct('Sub'),
  Multiply: direct('Mul'),
  RealDiv: direct('RealDiv'),
  Pow: direct('Pow'),
  Maximum: direct('Maximum'),
  Minimum: direct('Minimum'),
  SquaredDifference: direct('SquaredDifference'),
  AddN: (op, site) => [site.nodes.value('AddN', site.inputs, { ...typed(site), N: attribute.int(op.inputs.length) })],

  Equal: direct('Equal', COMPARE_ANY_SHAPES),
  NotEqual: direct('NotEqual', COMPARE_ANY_SHAPES),
  Greater: direct('Greater'),
  GreaterEqual: direct('GreaterEqual'),
  Less: direct('Less'),
  LessEqual: direct('LessEqual'),
  LogicalAnd: logical('LogicalAnd'),
  LogicalOr: logical('LogicalOr'),

  Sum: reduce('Sum'),
  Mean: reduce('Mean'),
  Max: reduce('Max'),
  Min: reduce('Min'),
  Prod: reduce('Prod'),
  Any: reduce('Any'),
  All: reduce('All'),

  // NaN gives alpha here (NaN in tfjs): the comparison is false. The forward value that it came from stays NaN.
  Step: ({ attributes: { alpha } }, site) => {
    const { nodes, inputs } = site
    const dtype = plainType(site.inputValues[0]!)
    const positive = nodes.value('Greater', [inputs[0]!, nodes.scalar(dtype, 0)], typed(site))
    return [nodes.value('SelectV2', [positive, nodes.scalar(dtype, 1), nodes.scalar(dtype, alpha)], typed(site))]
  },
  ClipByValue: ({ attributes: { low, high } }, site) => {
    const dtype = plainType(site.inputValues[0]!)
    const bounds = [site.nodes.scalar(dtype, low), site.nodes.scalar(dtype, high)]
    return [site.nodes.value('ClipByValue', [site.inputs[0]!, ...bounds], typed(site))]
  },
  Cast: (_, { nodes, inputs, inputValues, outputValues }) => [
    nodes.cast(inputs[0]!, inputValues[0]!.dtype, outputValues[0]!.dtype),
  ],
  Select: (_, site) => [site.nodes.value('SelectV2', site.inputs, typed(site, 1))],

  Reshape: (_, site) => [
    site.nodes.value('Reshape', [site.inputs[0]!, site.nodes.integers(site.outputValues[0]!.shape)], {
      ...typed(site),
      Tshape: INT32,
    }),
  ],
  BroadcastTo: (_, site) => [
    site.nodes.value('BroadcastTo', [site.inputs[0]!, site.nodes.integers(site.outputValues[0]!.shape)], {
      ...typed(site),
      Tidx: INT32,
    }),
  ],
  Transpose: ({ attributes: { permutation } }, site) => [
    site.nodes.value('Transpose', [site.inputs[0]!, site.nodes.integers(permutation)], { ...typed(site), Tperm: INT32 }),
  ],
  Slice: ({ attributes: { begin, size } }, site) => [
    site.nodes.value('Slice', [site.inputs[0]!, site.nodes.integers(begin), site.nodes.integers(size)], {
      ...typed(site),
      Index: INT32,
    }),
  ],
  PadV2: ({ attributes: { paddings, value } }, site) => {
    const { nodes, inputs } = site
    const amounts = nodes.integers(paddings.flat(), [paddings.length, 2])
    const filling = nodes.scalar(plainType(site.inputValues[0]!), value)
    return [nodes.value('PadV2', [inputs[0]!, amounts, filling], { ...typed(site), Tpaddings: INT32 })]
  },
  Concat: ({ attributes: { axis } }, site) => [
    site.nodes.value('ConcatV2', [...site.inputs, site.nodes.scalar('int32', axis)], {
      ...typed(site),
      N: attribute.int(site.inputs.length),
      Tidx: INT32,
    }),
  ],
  SplitV: ({ attributes: { axis, sizes } }, site) =>
    site.nodes.values(
      'SplitV',
      [site.inputs[0]!, site.nodes.integers(sizes), site.nodes.scalar('int32', axis)],
      { ...typed(site), num_split: attribute.int(sizes.length), Tlen: INT32 },
      sizes.length,
    ),
  Tile: ({ attributes: { repeats } }, site) => [
    site.nodes.value('Tile', [site.inputs[0]!, site.nodes.integers(repeats)], { ...typed(site), Tmultiples: INT32 }),
  ],
  GatherV2: ({ attributes: { axis } }, site) => [
    site.nodes.value('GatherV2', [...site.inputs, site.nodes.scalar('int32', axis)], {
      Tparams: attribute.type(site.inputValues[0]!.dtype),
      Tindices: INT32,
      Taxis: INT32,
      batch_dims: attribute.int(0),
    }),
  ],
  OneHot: ({ attributes: { depth, on, off } }, { nodes, inputs, outputValues }) => {
    const dtype = plainType(outputValues[0]!)
    const operands = [inputs[0]!, nodes.scalar('int32', depth), nodes.scalar(dtype, on), nodes.scalar(dtype, off)]
    return [nodes.value('OneHot', operands, { T: attribute.type(dtype), TI: INT32, axis: attribute.int(-1) })]
  },
  ArgMax: ({ attributes: { axis } }, site) => [
    site.nodes.value('ArgMax', [site.inputs[0]!, site.nodes.scalar('int32', axis)], {
      ...typed(site),
      Tidx: INT32,
      output_type: INT32,
    }),
  ],
  Softmax: alongLastAxis('Softmax'),
  LogSoftmax: alongLastAxis('LogSoftmax'),
  BatchMatMul: matMul,
  Barrier: (_, site) => {
    const after = site.inputs.slice(1).map((reference) => `^${reference.split(':')[0]}`)
    return [site.nodes.value('Identity', [site.inputs[0]!, ...after], typed(site))]
  },
}

/** Appends the nodes of one operation; references to its results. */
export function lowerOp(op: Op, site: Site): readonly string[] {
  // Each entry takes the operation of its own key; the compiler cannot follow that through a union.
  return (LOWERINGS[op.kind] as (op: Op, site: Site) => readonly string[])(op, site)
}
