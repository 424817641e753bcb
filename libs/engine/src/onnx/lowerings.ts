/** How each operation of a program is written in ONNX operators. */
import type { Op, OpAttributes, OpKind, OpOf, Value } from '../program.ts'
import { sizeOf } from '../program.ts'
import type { FusedOp } from './fusions.ts'
import { attribute, CONTRIB_DOMAIN, ELEMENT_TYPE, type ModelBuilder } from './model-builder.ts'

/** One operation with the ONNX names and values of its operands. */
export interface Site {
  readonly builder: ModelBuilder
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly inputValues: readonly Value[]
  readonly outputValues: readonly Value[]
}
type Lowering<K extends OpKind> = (op: OpOf<K>, site: Site) => void
/** Any operation with attributes of this form. */
interface OpWith<Attributes> {
  readonly attributes: Attributes
}
type Lowerings = { readonly [K in OpKind]: Lowering<K> }

/** The operation has an ONNX operator of the same meaning. */
function direct(opType: string): (op: unknown, site: Site) => void {
  return (_, { builder, inputs, outputs }) => builder.node(opType, inputs, outputs)
}

/** A small number as an initializer of the type of the first input. */
function constant(site: Site, value: number): string {
  return site.builder.number(value, site.inputValues[0]!.dtype)
}

function reduce(opType: string): (op: OpWith<OpAttributes['Sum']>, site: Site) => void {
  return (op, { builder, inputs, outputs }) => {
    const { axes, keepDims } = op.attributes
    // ONNX takes an empty list of axes for all axes; here it means none.
    if (axes.length === 0) return builder.node('Identity', inputs, outputs)
    builder.node(opType, [inputs[0]!, builder.integers(axes)], outputs, {
      attributes: [attribute.int('keepdims', keepDims ? 1 : 0)],
    })
  }
}

/** Reductions of booleans run on int32, since ONNX reduces numbers only. */
function reduceBooleans(opType: string): (op: OpWith<OpAttributes['Any']>, site: Site) => void {
  return (op, site) => {
    const { builder, inputs, outputs } = site
    const numbers = builder.intermediate('Cast', inputs, { attributes: [attribute.int('to', ELEMENT_TYPE.int32)] })
    const { axes, keepDims } = op.attributes
    const reduced =
      axes.length === 0
        ? numbers
        : builder.intermediate(opType, [numbers, builder.integers(axes)], {
            attributes: [attribute.int('keepdims', keepDims ? 1 : 0)],
          })
    builder.node('Cast', [reduced], outputs, { attributes: [attribute.int('to', ELEMENT_TYPE.bool)] })
  }
}

function withAxis(opType: string): (op: OpWith<{ readonly axis: number }>, site: Site) => void {
  return (op, { builder, inputs, outputs }) =>
    builder.node(opType, inputs, outputs, { attributes: [attribute.int('axis', op.attributes.axis)] })
}

/** The result's shape as the second operand. */
function toShape(opType: string): (op: unknown, site: Site) => void {
  return (_, { builder, inputs, outputs, outputValues }) =>
    builder.node(opType, [inputs[0]!, builder.integers(outputValues[0]!.shape)], outputs)
}

/** Gemm for plain matrices (it takes transposed operands), MatMul without transposes, ONNX Runtime's FusedMatMul for the rest. */
const matMul: Lowering<'BatchMatMul'> = (op, { builder, inputs, outputs, inputValues }) => {
  const { transposeA, transposeB } = op.attributes
  if (!transposeA && !transposeB) return builder.node('MatMul', inputs, outputs)
  const attributes = [attribute.int('transA', transposeA ? 1 : 0), attribute.int('transB', transposeB ? 1 : 0)]
  if (inputValues.every((value) => value.shape.length === 2)) return builder.node('Gemm', inputs, outputs, { attributes })
  builder.node('FusedMatMul', inputs, outputs, { attributes, domain: CONTRIB_DOMAIN })
}

/**
 * ONNX has no control edges. A reshape is free, and here its shape waits for the other inputs: one element of each, as integers
 * (so that NaN and infinity vanish too), times zero, plus the shape.
 */
const barrier: Lowering<'Barrier'> = (_, { builder, inputs, outputs, inputValues, outputValues }) => {
  const [x, ...after] = inputs
  const firsts = after.map((name, i) => {
    const flat = inputValues[i + 1]!.shape.length === 1 ? name : builder.intermediate('Reshape', [name, builder.integers([-1])])
    const bounds = [builder.integers([0]), builder.integers([1]), builder.integers([0])]
    return builder.intermediate('Slice', [flat, ...bounds])
  })
  const axis = { attributes: [attribute.int('axis', 0)] }
  const all = firsts.length === 1 ? firsts[0]! : builder.intermediate('Concat', firsts, axis)
  const whole = builder.intermediate('Cast', [all], { attributes: [attribute.int('to', ELEMENT_TYPE.int64)] })
  const zeros = builder.intermediate('Mul', [whole, builder.integers([0])])
  const zero = builder.intermediate('ReduceSum', [zeros, builder.integers([0])], { attributes: [attribute.int('keepdims', 1)] })
  const shape = builder.intermediate('Add', [zero, builder.integers(outputValues[0]!.shape)])
  builder.node('Reshape', [x!, shape], outputs)
  builder.describe(outputs[0]!, outputValues[0]!)
}

const LOWERINGS: Lowerings = {
  Abs: direct('Abs'),
  Ceil: direct('Ceil'),
  Cos: direct('Cos'),
  Erf: direct('Erf'),
  Exp: direct('Exp'),
  Expm1: (_, site) => site.builder.node('Sub', [site.builder.intermediate('Exp', site.inputs), constant(site, 1)], site.outputs),
  Floor: direct('Floor'),
  Identity: direct('Identity'),
  Log: direct('Log'),
  Log1p: (_, site) =>
    site.builder.node('Log', [site.builder.intermediate('Add', [site.inputs[0]!, constant(site, 1)])], site.outputs),
  LogicalNot: direct('Not'),
  Neg: direct('Neg'),
  Reciprocal: direct('Reciprocal'),
  Relu: direct('Relu'),
  Round: direct('Round'),
  Rsqrt: (_, { builder, inputs, outputs }) => builder.node('Reciprocal', [builder.intermediate('Sqrt', inputs)], outputs),
  Sigmoid: direct('Sigmoid'),
  Sign: direct('Sign'),
  Sin: direct('Sin'),
  Softplus: direct('Softplus'),
  Sqrt: direct('Sqrt'),
  Square: (_, { builder, inputs, outputs }) => builder.node('Mul', [inputs[0]!, inputs[0]!], outputs),
  Tanh: direct('Tanh'),

  Add: direct('Add'),
  Sub: direct('Sub'),
  Multiply: direct('Mul'),
  RealDiv: direct('Div'),
  Pow: direct('Pow'),
  Maximum: direct('Max'),
  Minimum: direct('Min'),
  SquaredDifference: (_, { builder, inputs, outputs }) => {
    const difference = builder.intermediate('Sub', inputs)
    builder.node('Mul', [difference, difference], outputs)
  },
  AddN: direct('Sum'),

  Equal: direct('Equal'),
  NotEqual: (_, { builder, inputs, outputs }) => builder.node('Not', [builder.intermediate('Equal', inputs)], outputs),
  Greater: direct('Greater'),
  GreaterEqual: direct('GreaterOrEqual'),
  Less: direct('Less'),
  LessEqual: direct('LessOrEqual'),
  LogicalAnd: direct('And'),
  LogicalOr: direct('Or'),

  Sum: reduce('ReduceSum'),
  Mean: reduce('ReduceMean'),
  Max: reduce('ReduceMax'),
  Min: reduce('ReduceMin'),
  Prod: reduce('ReduceProd'),
  Any: reduceBooleans('ReduceMax'),
  All: reduceBooleans('ReduceMin'),

  // NaN gives alpha here (NaN in tfjs): the comparison is false. The forward value that it came from stays NaN.
  Step: (op, site) => {
    const { builder, inputs, outputs } = site
    const positive = builder.intermediate('Greater', [inputs[0]!, constant(site, 0)])
    builder.node('Where', [positive, constant(site, 1), constant(site, op.attributes.alpha)], outputs)
  },
  ClipByValue: (op, site) =>
    site.builder.node(
      'Clip',
      [site.inputs[0]!, constant(site, op.attributes.low), constant(site, op.attributes.high)],
      site.outputs,
    ),
  Cast: (_, { builder, inputs, outputs, outputValues }) =>
    builder.node('Cast', inputs, outputs, { attributes: [attribute.int('to', ELEMENT_TYPE[outputValues[0]!.dtype])] }),
  Select: direct('Where'),

  Reshape: toShape('Reshape'),
  BroadcastTo: toShape('Expand'),
  Transpose: (op, { builder, inputs, outputs }) =>
    builder.node('Transpose', inputs, outputs, { attributes: [attribute.ints('perm', op.attributes.permutation)] }),
  Slice: (op, { builder, inputs, outputs }) => {
    const { begin, size } = op.attributes
    const end = begin.map((from, axis) => from + size[axis]!)
    const axes = begin.map((_, axis) => axis)
    builder.node('Slice', [inputs[0]!, builder.integers(begin), builder.integers(end), builder.integers(axes)], outputs)
  },
  PadV2: (op, site) => {
    const { paddings, value } = op.attributes
    const pads = site.builder.integers([...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)])
    site.builder.node('Pad', [site.inputs[0]!, pads, constant(site, value)], site.outputs)
  },
  Concat: withAxis('Concat'),
  SplitV: (op, { builder, inputs, outputs }) =>
    builder.node('Split', [inputs[0]!, builder.integers(op.attributes.sizes)], outputs, {
      attributes: [attribute.int('axis', op.attributes.axis)],
    }),
  Tile: (op, { builder, inputs, outputs }) =>
    builder.node('Tile', [inputs[0]!, builder.integers(op.attributes.repeats)], outputs),
  GatherV2: withAxis('Gather'),
  OneHot: (op, { builder, inputs, outputs, outputValues }) => {
    const { depth, on, off } = op.attributes
    const { dtype } = outputValues[0]!
    // ONNX Runtime has OneHot from int32 to float32 only; the two values are one vector, [off, on].
    const values = builder.intermediate('Concat', [builder.number(off, 'float32', [1]), builder.number(on, 'float32', [1])], {
      attributes: [attribute.int('axis', 0)],
    })
    const operands = [inputs[0]!, builder.number(depth, 'int32'), values]
    const options = { attributes: [attribute.int('axis', -1)] }
    if (dtype === 'float32') return builder.node('OneHot', operands, outputs, options)
    const encoded = builder.intermediate('OneHot', operands, options)
    builder.node('Cast', [encoded], outputs, { attributes: [attribute.int('to', ELEMENT_TYPE[dtype])] })
  },
  ArgMax: (op, { builder, inputs, outputs }) => {
    const attributes = [attribute.int('axis', op.attributes.axis), attribute.int('keepdims', 0)]
    const index = builder.intermediate('ArgMax', inputs, { attributes })
    builder.node('Cast', [index], outputs, { attributes: [attribute.int('to', ELEMENT_TYPE.int32)] })
  },
  Softmax: withAxis('Softmax'),
  LogSoftmax: withAxis('LogSoftmax'),
  BatchMatMul: matMul,
  Barrier: barrier,
}

const FUSED_LOWERINGS: { readonly [K in FusedOp['kind']]: (op: Extract<FusedOp, { kind: K }>, site: Site) => void } = {
  Linear: (op, { builder, inputs, outputs }) => {
    const { transposeA, transposeB } = op.attributes
    const attributes = [attribute.int('transA', transposeA ? 1 : 0), attribute.int('transB', transposeB ? 1 : 0)]
    builder.node('Gemm', inputs, outputs, { attributes })
  },
  Standardise: (op, { builder, inputs, outputs, inputValues }) => {
    const [value, inverse] = outputs
    const ones = builder.ones(inputValues[0]!.shape.at(-1)!)
    const attributes = [attribute.int('axis', -1), attribute.float('epsilon', op.attributes.eps)]
    // The mean, between the two, is not wanted.
    builder.node('LayerNormalization', [inputs[0]!, ones], inverse ? [value!, '', inverse] : [value!], { attributes })
  },
}

/** Appends the ONNX nodes of one operation. */
export function lowerOp(op: Op | FusedOp, site: Site): void {
  // Each entry takes the operation of its own key; the compiler cannot follow that through a union.
  const lowering = { ...LOWERINGS, ...FUSED_LOWERINGS }[op.kind] as (op: Op | FusedOp, site: Site) => void
  if (site.outputValues.every((value) => sizeOf(value.shape) === 0)) throw new RangeError(`${op.kind} gives an empty tensor`)
  lowering(op, site)
}
