/**
 * The tfjs kernels that the tracer records: each rule gives the shape and type of the result and the resolved attributes.
 * A few kernels are recorded as others (ExpandDims as Reshape, Pack as Reshape and Concat, fills as literals).
 */
import type { NamedAttrMap, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs'
import { UnknownKernelError } from '../errors.ts'
import { ARITHMETIC_KINDS, COMPARISON_KINDS, type ReductionKind, sizeOf, UNARY_KINDS } from '../program.ts'
import { tf } from '../tf.ts'
import { literalOf } from './recording.ts'
import { TRACER, type TracerBackend } from './tracer-backend.ts'

// tfjs types attributes as a map of unknown values; every rule knows those of its own kernel.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Attributes = Record<string, any>
type Inputs = Record<string, TensorInfo>
type Rule = (tracer: TracerBackend, inputs: Inputs, attributes: Attributes) => TensorInfo | TensorInfo[]

const { util, backend_util } = tf

function input(inputs: Inputs, name: string): TensorInfo {
  const info = inputs[name]
  if (info === undefined) throw new TypeError(`tfjs called a kernel without its input ${name}`)
  return info
}

function axesOf(axis: number | number[] | undefined, shape: number[]): number[] {
  return util.parseAxisParam(axis as number, shape)
}

function reduced(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  return keepDims ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : shape.filter((_, i) => !axes.includes(i))
}

function reduction(kind: ReductionKind, axisName: 'axis' | 'reductionIndices'): Rule {
  return (tracer, inputs, attributes) => {
    const x = input(inputs, 'x')
    const axes = axesOf(attributes[axisName], x.shape)
    const keepDims = Boolean(attributes.keepDims)
    return tracer.emit(kind, [x], reduced(x.shape, axes, keepDims), x.dtype, { axes, keepDims })
  }
}

function elementwiseRules(): Record<string, Rule> {
  const rules: Record<string, Rule> = {}
  for (const kind of UNARY_KINDS) {
    rules[kind] = (tracer, inputs) => {
      const x = input(inputs, 'x')
      return tracer.emit(kind, [x], x.shape, x.dtype, {})
    }
  }
  const binary = (inputs: Inputs): [TensorInfo, TensorInfo, number[]] => {
    const a = input(inputs, 'a')
    const b = input(inputs, 'b')
    return [a, b, backend_util.assertAndGetBroadcastShape(a.shape, b.shape)]
  }
  for (const kind of ARITHMETIC_KINDS) {
    rules[kind] = (tracer, inputs) => {
      const [a, b, shape] = binary(inputs)
      return tracer.emit(kind, [a, b], shape, a.dtype, {})
    }
  }
  for (const kind of COMPARISON_KINDS) {
    rules[kind] = (tracer, inputs) => {
      const [a, b, shape] = binary(inputs)
      return tracer.emit(kind, [a, b], shape, 'bool', {})
    }
  }
  return rules
}

const elementwiseWithAttributes: Record<string, Rule> = {
  Step: (tracer, inputs, { alpha }) => {
    const x = input(inputs, 'x')
    return tracer.emit('Step', [x], x.shape, x.dtype, { alpha: alpha ?? 0 })
  },
  ClipByValue: (tracer, inputs, { clipValueMin, clipValueMax }) => {
    const x = input(inputs, 'x')
    return tracer.emit('ClipByValue', [x], x.shape, x.dtype, { low: clipValueMin, high: clipValueMax })
  },
  Cast: (tracer, inputs, { dtype }) => {
    const x = input(inputs, 'x')
    return tracer.emit(x.dtype === dtype ? 'Identity' : 'Cast', [x], x.shape, dtype, {})
  },
  Select: (tracer, inputs) => {
    const [condition, whenTrue, whenFalse] = [input(inputs, 'condition'), input(inputs, 't'), input(inputs, 'e')]
    return tracer.emit('Select', [condition, whenTrue, whenFalse], whenTrue.shape, whenTrue.dtype, {})
  },
  AddN: (tracer, inputs) => {
    const terms = Object.values(inputs)
    return tracer.emit('AddN', terms, terms[0]!.shape, terms[0]!.dtype, {})
  },
  Softmax: (tracer, inputs, { dim }) => {
    const x = input(inputs, 'logits')
    return tracer.emit('Softmax', [x], x.shape, x.dtype, { axis: axesOf(dim, x.shape)[0]! })
  },
  LogSoftmax: (tracer, inputs, { axis }) => {
    const x = input(inputs, 'logits')
    return tracer.emit('LogSoftmax', [x], x.shape, x.dtype, { axis: axesOf(axis, x.shape)[0]! })
  },
}

function reshape(tracer: TracerBackend, x: TensorInfo, shape: number[]): TensorInfo {
  return tracer.emit('Reshape', [x], shape, x.dtype, {})
}

function withAxis(shape: readonly number[], axis: number): number[] {
  const at = axis < 0 ? shape.length + axis + 1 : axis
  return [...shape.slice(0, at), 1, ...shape.slice(at)]
}

function concat(tracer: TracerBackend, parts: TensorInfo[], axis: number): TensorInfo {
  const first = parts[0]!
  const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0)
  const shape = first.shape.map((d, i) => (i === axis ? total : d))
  return tracer.emit('Concat', parts, shape, first.dtype, { axis })
}

function split(tracer: TracerBackend, x: TensorInfo, axis: number, sizes: number[]): TensorInfo[] {
  const shapes = sizes.map((size) => x.shape.map((d, i) => (i === axis ? size : d)))
  return tracer.emitAll('SplitV', [x], shapes, x.dtype, { axis, sizes })
}

const shaping: Record<string, Rule> = {
  Reshape: (tracer, inputs, { shape }) => {
    const x = input(inputs, 'x')
    return reshape(tracer, x, util.inferFromImplicitShape(shape, sizeOf(x.shape)))
  },
  ExpandDims: (tracer, inputs, { dim }) => {
    const x = input(inputs, 'input')
    return reshape(tracer, x, withAxis(x.shape, dim))
  },
  Transpose: (tracer, inputs, { perm }) => {
    const x = input(inputs, 'x')
    const shape = (perm as number[]).map((axis) => x.shape[axis]!)
    return tracer.emit('Transpose', [x], shape, x.dtype, { permutation: [...perm] })
  },
  Slice: (tracer, inputs, attributes) => {
    const x = input(inputs, 'x')
    const [begin, size] = tf.slice_util.parseSliceParams(x as never, attributes.begin, attributes.size)
    return tracer.emit('Slice', [x], size!, x.dtype, { begin: begin!, size: size! })
  },
  PadV2: (tracer, inputs, { paddings, constantValue }) => {
    const x = input(inputs, 'x')
    const pads = paddings as [number, number][]
    const shape = x.shape.map((d, i) => d + pads[i]![0] + pads[i]![1])
    return tracer.emit('PadV2', [x], shape, x.dtype, { paddings: pads, value: constantValue ?? 0 })
  },
  Concat: (tracer, inputs, { axis }) => {
    const parts = Object.values(inputs)
    return concat(tracer, parts, axesOf(axis, parts[0]!.shape)[0]!)
  },
  Pack: (tracer, inputs, { axis }) => {
    const parts = Object.values(inputs).map((part) => reshape(tracer, part, withAxis(part.shape, axis)))
    return concat(tracer, parts, axis < 0 ? parts[0]!.shape.length + axis : axis)
  },
  SplitV: (tracer, inputs, { numOrSizeSplits, axis }) => {
    const x = input(inputs, 'x')
    const at = axesOf(axis, x.shape)[0]!
    return split(tracer, x, at, backend_util.prepareSplitSize(x as never, numOrSizeSplits, at))
  },
  Unpack: (tracer, inputs, { axis }) => {
    const x = input(inputs, 'value')
    const at = axesOf(axis, x.shape)[0]!
    const parts = split(tracer, x, at, new Array<number>(x.shape[at]!).fill(1))
    return parts.map((part) => reshape(tracer, part, reduced(x.shape, [at], false)))
  },
  Tile: (tracer, inputs, { reps }) => {
    const x = input(inputs, 'x')
    return tracer.emit(
      'Tile',
      [x],
      x.shape.map((d, i) => d * reps[i]),
      x.dtype,
      { repeats: [...reps] },
    )
  },
}

const selecting: Record<string, Rule> = {
  GatherV2: (tracer, inputs, { axis, batchDims }) => {
    const x = input(inputs, 'x')
    const indices = input(inputs, 'indices')
    if (batchDims) throw new UnknownKernelError('GatherV2 with batch dimensions')
    const at = axesOf(axis, x.shape)[0]!
    const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)]
    return tracer.emit('GatherV2', [x, indices], shape, x.dtype, { axis: at })
  },
  OneHot: (tracer, inputs, { depth, onValue, offValue, dtype }) => {
    const indices = input(inputs, 'indices')
    return tracer.emit('OneHot', [indices], [...indices.shape, depth], dtype ?? 'int32', {
      depth,
      on: onValue ?? 1,
      off: offValue ?? 0,
    })
  },
  ArgMax: (tracer, inputs, { axis }) => {
    const x = input(inputs, 'x')
    const at = axesOf(axis, x.shape)[0]!
    return tracer.emit('ArgMax', [x], reduced(x.shape, [at], false), 'int32', { axis: at })
  },
  BatchMatMul: (tracer, inputs, attributes) => {
    const [a, b] = [input(inputs, 'a'), input(inputs, 'b')]
    const [transposeA, transposeB] = [Boolean(attributes.transposeA), Boolean(attributes.transposeB)]
    const rows = a.shape.at(transposeA ? -1 : -2)!
    const columns = b.shape.at(transposeB ? -2 : -1)!
    const batch = backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
    return tracer.emit('BatchMatMul', [a, b], [...batch, rows, columns], a.dtype, { transposeA, transposeB })
  },
}

const literals: Record<string, Rule> = {
  Fill: (tracer, _, { shape, value, dtype }) =>
    tracer.literal(shape, dtype ?? 'float32', { kind: 'splat', value: Number(value) }),
  ZerosLike: (tracer, inputs) => {
    const x = input(inputs, 'x')
    return tracer.literal(x.shape, x.dtype, { kind: 'splat', value: 0 })
  },
  OnesLike: (tracer, inputs) => {
    const x = input(inputs, 'x')
    return tracer.literal(x.shape, x.dtype, { kind: 'splat', value: 1 })
  },
  Range: (tracer, _, { start, stop, step, dtype }) => {
    const numbers: number[] = []
    for (let i = 0; step > 0 ? start + i * step < stop : start + i * step > stop; i++) numbers.push(start + i * step)
    const data = dtype === 'int32' ? Int32Array.from(numbers) : Float32Array.from(numbers)
    return tracer.literal([data.length], dtype ?? 'float32', literalOf(data))
  },
}

const ordering: Record<string, Rule> = {
  // libs/msn's own kernel: inputs x, after0, after1, ...
  Barrier: (tracer, inputs) => {
    const { x, ...after } = inputs
    return tracer.emit('Barrier', [x!, ...Object.values(after)], x!.shape, x!.dtype, {})
  },
}

const RULES: Readonly<Record<string, Rule>> = {
  ...elementwiseRules(),
  ...elementwiseWithAttributes,
  ...shaping,
  ...selecting,
  ...literals,
  ...ordering,
  Sum: reduction('Sum', 'axis'),
  Mean: reduction('Mean', 'axis'),
  Prod: reduction('Prod', 'axis'),
  Any: reduction('Any', 'axis'),
  All: reduction('All', 'axis'),
  Max: reduction('Max', 'reductionIndices'),
  Min: reduction('Min', 'axis'),
}

/** Names of the tfjs kernels that can be traced. */
export const TRACEABLE_KERNELS: readonly string[] = Object.keys(RULES).sort()

/** Registers every rule, and an error that names the kernel for everything else that the CPU backend could run. */
export function registerTracerKernels(): void {
  const register = (kernelName: string, rule: Rule): void => {
    tf.registerKernel({
      kernelName,
      backendName: TRACER,
      kernelFunc: ({ inputs, attrs, backend }: { inputs: NamedTensorInfoMap; attrs?: NamedAttrMap; backend: unknown }) =>
        rule(backend as TracerBackend, inputs as Inputs, attrs ?? {}),
    })
  }
  for (const [kernelName, rule] of Object.entries(RULES)) register(kernelName, rule)
  for (const { kernelName } of tf.getKernelsForBackend('cpu')) {
    if (kernelName in RULES) continue
    register(kernelName, () => {
      throw new UnknownKernelError(kernelName)
    })
  }
}
