import onnxProto from 'onnx-proto'
import { type DType, type Literal, sizeOf, type Value, type ValueId } from '../program.ts'

const { onnx } = onnxProto

/**
 * IR version 10 with operator set 20: every operator that the lowering uses has its present form there, and ONNX Runtime has taken
 * the pair since 1.17. The contrib domain is ONNX Runtime's own (FusedMatMul).
 */
const IR_VERSION = 10
const OPERATOR_SET = 20
export const CONTRIB_DOMAIN = 'com.microsoft'

/** TensorProto.DataType of the program's types, and of the int64 that shape arguments are made of. */
export const ELEMENT_TYPE = { float32: 1, int32: 6, int64: 7, bool: 9 } as const
type ElementType = keyof typeof ELEMENT_TYPE

type Attribute = NonNullable<Parameters<typeof onnx.AttributeProto.create>[0]>

/** AttributeProto.AttributeType: 1 float, 2 int, 7 ints. */
export const attribute = {
  int: (name: string, i: number): Attribute => ({ name, type: 2, i }),
  ints: (name: string, ints: readonly number[]): Attribute => ({ name, type: 7, ints: [...ints] }),
  float: (name: string, f: number): Attribute => ({ name, type: 1, f }),
}

function rawData(numbers: ArrayLike<number>, type: ElementType): Uint8Array {
  const bytes = (array: Float32Array | Int32Array | BigInt64Array): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  switch (type) {
    case 'float32':
      return bytes(Float32Array.from(numbers))
    case 'int32':
      return bytes(Int32Array.from(numbers))
    case 'int64':
      return bytes(BigInt64Array.from(Array.from(numbers, BigInt)))
    case 'bool':
      return Uint8Array.from(numbers)
  }
}

function tensorProto(
  name: string,
  numbers: ArrayLike<number>,
  shape: readonly number[],
  type: ElementType,
): InstanceType<typeof onnx.TensorProto> {
  return onnx.TensorProto.create({ name, dims: [...shape], dataType: ELEMENT_TYPE[type], rawData: rawData(numbers, type) })
}

function valueInfo(name: string, shape: readonly number[], dtype: DType): Parameters<typeof onnx.ValueInfoProto.create>[0] {
  return {
    name,
    type: { tensorType: { elemType: ELEMENT_TYPE[dtype], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  }
}

export interface NodeOptions {
  readonly attributes?: readonly Attribute[]
  readonly domain?: string
}

/** Collects nodes and initializers of one ONNX graph. Initializers of the same content are made once. */
export class ModelBuilder {
  private readonly nodes: InstanceType<typeof onnx.NodeProto>[] = []
  private readonly initializers = new Map<string, InstanceType<typeof onnx.TensorProto>>()
  private readonly shared = new Map<string, string>()
  private readonly described = new Map<string, Value>()
  private temporaries = 0

  get nodeCount(): number {
    return this.nodes.length
  }

  node(opType: string, input: readonly string[], output: readonly string[], options: NodeOptions = {}): void {
    const attributes = (options.attributes ?? []).map((each) => onnx.AttributeProto.create(each))
    const { domain = '' } = options
    this.nodes.push(onnx.NodeProto.create({ opType, input: [...input], output: [...output], attribute: attributes, domain }))
  }

  /** Appends a node whose one result is only an intermediate; returns the result's name. */
  intermediate(opType: string, input: readonly string[], options: NodeOptions = {}): string {
    const name = `t${this.temporaries++}`
    this.node(opType, input, [name], options)
    return name
  }

  /** States the shape of a result where ONNX Runtime cannot infer it; without it, nothing after it is planned ahead. */
  describe(name: string, value: Value): void {
    this.described.set(name, value)
  }

  /** A vector of int64: shapes, axes, bounds. */
  integers(values: readonly number[]): string {
    return this.sharedInitializer(values, [values.length], 'int64')
  }

  /** A vector of float32 ones. */
  ones(length: number): string {
    return this.sharedInitializer(new Array<number>(length).fill(1), [length], 'float32')
  }

  /** One number of shape `shape` (all ones); a scalar by default. */
  number(value: number, dtype: DType | 'int64', shape: readonly number[] = []): string {
    return this.sharedInitializer([value], shape, dtype)
  }

  /** The initializer or, for a splat, the Expand node that holds a literal. Scalars need no node. */
  literal(id: ValueId, value: Value, literal: Literal): string {
    if (literal.kind === 'array') {
      const name = `v${id}`
      if (!this.initializers.has(name)) this.initializers.set(name, tensorProto(name, literal.data, value.shape, value.dtype))
      return name
    }
    if (sizeOf(value.shape) === 1) return this.number(literal.value, value.dtype, value.shape)
    const key = `splat ${value.dtype} ${value.shape.join(',')} ${Object.is(literal.value, -0) ? '-0' : literal.value}`
    const known = this.shared.get(key)
    if (known !== undefined) return known
    const name = this.intermediate('Expand', [this.number(literal.value, value.dtype), this.integers(value.shape)])
    this.shared.set(key, name)
    return name
  }

  /** The model's bytes. */
  encode(name: string, inputs: ReadonlyMap<string, Value>, outputs: ReadonlyMap<string, Value>): Uint8Array {
    const infos = (values: ReadonlyMap<string, Value>) =>
      Array.from(values, ([key, { shape, dtype }]) => valueInfo(key, shape, dtype)!)
    const initializer = [...this.initializers.values()]
    const graph = {
      name,
      node: this.nodes,
      initializer,
      input: infos(inputs),
      output: infos(outputs),
      valueInfo: infos(this.described),
    }
    const opsetImport = [
      { domain: '', version: OPERATOR_SET },
      { domain: CONTRIB_DOMAIN, version: 1 },
    ]
    return onnx.ModelProto.encode(onnx.ModelProto.create({ irVersion: IR_VERSION, opsetImport, graph })).finish()
  }

  private sharedInitializer(values: readonly number[], shape: readonly number[], type: ElementType): string {
    const key = `${type} ${shape.join(',')} ${values.map((value) => (Object.is(value, -0) ? '-0' : value)).join(',')}`
    const known = this.shared.get(key)
    if (known !== undefined) return known
    const name = `c${this.shared.size}`
    this.shared.set(key, name)
    this.initializers.set(name, tensorProto(name, values, shape, type))
    return name
  }
}
