import { ARITHMETIC_KINDS, COMPARISON_KINDS, type Op, type Program, sameShape, type Value, type ValueId } from '../program.ts'
import { rewriteOps, type ValueTable, withInputs } from './rewrite.ts'

const BROADCASTING: ReadonlySet<Op['kind']> = new Set<Op['kind']>([...ARITHMETIC_KINDS, ...COMPARISON_KINDS])

/** A smaller operand that broadcasts to the same: the source of a broadcast, or a splat as a single number. */
function smaller(
  id: ValueId,
  values: ValueTable,
  broadcasts: ReadonlyMap<ValueId, ValueId>,
  scalars: Map<string, ValueId>,
): ValueId {
  const source = broadcasts.get(id)
  if (source !== undefined) return source
  const value: Value = values.all[id]!
  if (value.literal?.kind !== 'splat' || value.shape.length === 0) return id
  const key = `${value.dtype} ${Object.is(value.literal.value, -0) ? '-0' : value.literal.value}`
  const scalar = scalars.get(key) ?? values.add({ shape: [], dtype: value.dtype, literal: value.literal })
  scalars.set(key, scalar)
  return scalar
}

/**
 * Elementwise operations broadcast by themselves: where the other operand already has the result's shape, a broadcast or a filled
 * array in front of one is memory traffic for nothing.
 */
export function absorbBroadcasts(program: Program): Program {
  const broadcasts = new Map<ValueId, ValueId>()
  const scalars = new Map<string, ValueId>()
  return rewriteOps(program, (op, values) => {
    if (op.kind === 'BroadcastTo') broadcasts.set(op.outputs[0]!, op.inputs[0]!)
    const [a, b] = op.inputs
    if (!BROADCASTING.has(op.kind) || a === undefined || b === undefined) return { op }
    const { shape } = values.all[op.outputs[0]!]!
    const full = (id: ValueId): boolean => sameShape(values.all[id]!.shape, shape)
    const left = full(b) ? smaller(a, values, broadcasts, scalars) : a
    // One operand must go on carrying the shape.
    const right = full(left) ? smaller(b, values, broadcasts, scalars) : b
    return { op: withInputs(op, [left, right]) }
  })
}
