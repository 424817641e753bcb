import type { DType, Literal, Op, OpAttributes, OpKind, Value, ValueId } from '../program.ts'

export type LiteralData = Float32Array | Int32Array | Uint8Array

/** What one trace has recorded so far. */
export class Recording {
  /** Name of the traced step, for error texts. */
  readonly step: string
  readonly values: Value[] = []
  readonly ops: Op[] = []
  readonly inputs: Record<string, ValueId> = {}
  /** Where a value comes from, for error texts. */
  private readonly origins = new Map<ValueId, string>()

  constructor(step: string) {
    this.step = step
  }

  input(name: string, shape: readonly number[]): ValueId {
    const id = this.value({ shape, dtype: 'float32' }, `the input ${name}`)
    this.inputs[name] = id
    return id
  }

  literal(shape: readonly number[], dtype: DType, literal: Literal): ValueId {
    return this.value({ shape, dtype, literal }, 'a constant')
  }

  /** Appends an operation with one result and returns the result's id. */
  emit<K extends OpKind>(
    kind: K,
    inputs: readonly ValueId[],
    shape: readonly number[],
    dtype: DType,
    attributes: OpAttributes[K],
  ): ValueId {
    return this.emitAll(kind, inputs, [shape], dtype, attributes)[0]!
  }

  /** Appends an operation with one result for each of `shapes`. */
  emitAll<K extends OpKind>(
    kind: K,
    inputs: readonly ValueId[],
    shapes: readonly (readonly number[])[],
    dtype: DType,
    attributes: OpAttributes[K],
  ): ValueId[] {
    const outputs = shapes.map((shape) => this.value({ shape, dtype }, `the result of the kernel ${kind}`))
    // The union is indexed by `kind`; the compiler cannot see that the generic K is one of its members.
    this.ops.push({ kind, inputs, outputs, attributes } as Op)
    return outputs
  }

  originOf(id: ValueId): string {
    const shape = this.values[id]?.shape ?? []
    return `${this.origins.get(id) ?? 'a value'} of shape [${shape.join(', ')}]`
  }

  private value(value: Value, origin: string): ValueId {
    const id = this.values.length
    this.values.push({ ...value, shape: [...value.shape] })
    this.origins.set(id, origin)
    return id
  }
}

/** One number where the whole array holds it (-0 and 0 are told apart, NaN equals itself), else the array. */
export function literalOf(data: LiteralData): Literal {
  const first = data[0]
  if (first === undefined) return { kind: 'array', data }
  for (let i = 1; i < data.length; i++) {
    if (!Object.is(data[i], first)) return { kind: 'array', data }
  }
  return { kind: 'splat', value: first }
}
