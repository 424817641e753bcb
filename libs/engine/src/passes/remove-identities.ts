import { type Op, type Program, sameShape, type ValueId } from '../program.ts'
import { rewriteOps, type ValueTable } from './rewrite.ts'

/** Operations that give their first input back, value for value, whatever it is. */
function isIdentity(op: Op, values: ValueTable): boolean {
  const from = values.all[op.inputs[0]!]
  const to = values.all[op.outputs[0]!]!
  if (from === undefined || op.outputs.length > 1) return false
  switch (op.kind) {
    case 'Identity':
      return true
    case 'Cast':
      return from.dtype === to.dtype
    case 'Reshape':
    case 'BroadcastTo':
    case 'Tile':
    case 'Slice':
    case 'PadV2':
      return sameShape(from.shape, to.shape) && !hasNegativePadding(op)
    case 'Transpose':
      return op.attributes.permutation.every((axis, i) => axis === i)
    case 'Concat':
    case 'SplitV':
    case 'AddN':
      return op.inputs.length === 1
    case 'Sum':
    case 'Mean':
    case 'Max':
    case 'Min':
    case 'Prod':
      return op.attributes.axes.length === 0
    default:
      return false
  }
}

/** A pad that cuts on one side what it adds on the other keeps the shape but not the values. */
function hasNegativePadding(op: Op): boolean {
  return op.kind === 'PadV2' && op.attributes.paddings.some(([before, after]) => before !== 0 || after !== 0)
}

/**
 * Removes operations that change nothing (tfjs records a clone for every value that a gradient saves), joins chains of reshapes,
 * and undoes a transpose of a transpose.
 */
export function removeIdentities(program: Program): Program {
  const producers = new Map<ValueId, Op>()
  return rewriteOps(program, (op, values) => {
    let current = op
    const before = producers.get(op.inputs[0]!)
    if (op.kind === 'Reshape' && before?.kind === 'Reshape') current = { ...op, inputs: before.inputs }
    if (op.kind === 'Transpose' && before?.kind === 'Transpose') {
      const permutation = op.attributes.permutation.map((axis) => before.attributes.permutation[axis]!)
      current = { ...op, inputs: before.inputs, attributes: { permutation } }
    }
    if (isIdentity(current, values)) return { replacedBy: current.inputs[0]! }
    for (const id of current.outputs) producers.set(id, current)
    return { op: current }
  })
}
