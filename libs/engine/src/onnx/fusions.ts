/** Groups of operations that ONNX Runtime has one operator for; it does not find them itself in the form that we write them. */
import { type Op, type OpOf, type Program, type Value, type ValueId, valueAt } from '../program.ts'

/** a b + bias for matrices: Gemm writes the bias first and adds the product to it, instead of a pass for each. */
export interface LinearOp {
  readonly kind: 'Linear'
  /** a, b, bias [columns]. */
  readonly inputs: readonly ValueId[]
  readonly outputs: readonly ValueId[]
  readonly attributes: OpOf<'BatchMatMul'>['attributes']
}

/** (x - mean) / sqrt(var + eps) over the last axis; outputs the quotient and, where it is used, 1 / sqrt(var + eps) [..., 1]. */
export interface StandardiseOp {
  readonly kind: 'Standardise'
  readonly inputs: readonly ValueId[]
  readonly outputs: readonly ValueId[]
  readonly attributes: { readonly eps: number }
}

export type FusedOp = LinearOp | StandardiseOp

class Fusion {
  private readonly program: Program
  private readonly producers = new Map<ValueId, Op>()
  private readonly uses = new Map<ValueId, number>()

  constructor(program: Program) {
    this.program = program
    const use = (id: ValueId): void => {
      this.uses.set(id, (this.uses.get(id) ?? 0) + 1)
    }
    for (const op of program.ops) {
      for (const id of op.outputs) this.producers.set(id, op)
      op.inputs.forEach(use)
    }
    Object.values(program.outputs).forEach(use)
  }

  /** The operations, in order; each group stands where its last member stood. */
  run(): (Op | FusedOp)[] {
    const taken = new Set<Op>()
    const fused = new Map<Op, FusedOp>()
    for (const op of this.program.ops) {
      const group = this.linear(op) ?? this.standardise(op)
      if (group === undefined) continue
      fused.set(group.at, group.op)
      for (const member of group.members) taken.add(member)
    }
    const ops: (Op | FusedOp)[] = []
    for (const op of this.program.ops) {
      const group = fused.get(op)
      if (group !== undefined) ops.push(group)
      else if (!taken.has(op)) ops.push(op)
    }
    return ops
  }

  /** BatchMatMul of matrices, whose one use is the addition of a vector. */
  private linear(op: Op): { at: Op; op: FusedOp; members: Op[] } | undefined {
    if (op.kind !== 'Add') return undefined
    for (const [product, bias] of [op.inputs, [...op.inputs].reverse()] as [ValueId, ValueId][]) {
      const producer = this.only('BatchMatMul', product, 1)
      if (!producer || this.value(product).shape.length !== 2 || this.value(bias).shape.length !== 1) continue
      if (this.value(bias).shape[0] !== this.value(product).shape[1]) continue
      const inputs = [...producer.inputs, bias]
      return {
        at: op,
        op: { kind: 'Linear', inputs, outputs: op.outputs, attributes: producer.attributes },
        members: [producer, op],
      }
    }
    return undefined
  }

  /** (x - Mean(x)) * Rsqrt(Mean((x - Mean(x))^2) + eps), as `standardise` of libs/msn is recorded. */
  private standardise(op: Op): { at: Op; op: FusedOp; members: Op[] } | undefined {
    if (op.kind !== 'Multiply') return undefined
    const [centred, inverse] = op.inputs as [ValueId, ValueId]
    const sub = this.only('Sub', centred, 2)
    const rsqrt = this.producer('Rsqrt', inverse)
    if (!sub || !rsqrt) return undefined
    const [x, mean] = sub.inputs as [ValueId, ValueId]
    const add = this.only('Add', rsqrt.inputs[0]!, 1)
    const variance = add && this.only('Mean', add.inputs[0]!, 1)
    const square = variance && this.only('Square', variance.inputs[0]!, 1)
    const average = this.only('Mean', mean, 1)
    const eps = add && this.value(add.inputs[1]!).literal
    if (!add || !variance || !average || square?.inputs[0] !== centred || average.inputs[0] !== x) return undefined
    if (eps?.kind !== 'splat' || !this.overLastAxis(average) || !this.overLastAxis(variance)) return undefined
    const outputs = this.uses.get(inverse) === 1 ? op.outputs : [op.outputs[0]!, inverse]
    return {
      // The inverse may be wanted before the quotient is: both come where the first of them stood.
      at: rsqrt,
      op: { kind: 'Standardise', inputs: [x], outputs, attributes: { eps: eps.value } },
      members: [average, sub, square, variance, add, rsqrt, op],
    }
  }

  private overLastAxis({ attributes, inputs }: OpOf<'Mean'>): boolean {
    const last = this.value(inputs[0]!).shape.length - 1
    return attributes.keepDims && attributes.axes.length === 1 && attributes.axes[0] === last
  }

  private producer<K extends Op['kind']>(kind: K, id: ValueId): OpOf<K> | undefined {
    const op = this.producers.get(id)
    return op?.kind === kind ? (op as unknown as OpOf<K>) : undefined
  }

  /** The producer of a value that has exactly `uses` uses. */
  private only<K extends Op['kind']>(kind: K, id: ValueId, uses: number): (OpOf<K> & Op) | undefined {
    return this.uses.get(id) === uses ? (this.producer(kind, id) as (OpOf<K> & Op) | undefined) : undefined
  }

  private value(id: ValueId): Value {
    return valueAt(this.program, id)
  }
}

/** The operations of a program with every group that ONNX Runtime can do at once as one. */
export function fuseForOnnx(program: Program): (Op | FusedOp)[] {
  return new Fusion(program).run()
}
