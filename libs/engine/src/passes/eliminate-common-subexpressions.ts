import { createHash } from 'node:crypto'
import type { Op, Program, Value, ValueId } from '../program.ts'

/** JSON has no infinities, NaN or -0. */
function numberKey(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

function literalKey({ literal, dtype, shape }: Value): string | undefined {
  if (literal === undefined) return undefined
  const content = literal.kind === 'splat' ? numberKey(literal.value) : createHash('sha256').update(literal.data).digest('hex')
  return `${literal.kind} ${dtype}[${shape.join(',')}]${content}`
}

function opKey(op: Op, values: readonly Value[]): string {
  const results = op.outputs.map((id) => `${values[id]!.dtype}[${values[id]!.shape.join(',')}]`)
  const attributes = JSON.stringify(op.attributes, (_, value) => (typeof value === 'number' ? numberKey(value) : value))
  return `${op.kind}(${op.inputs.join(',')})${attributes}->${results.join(';')}`
}

/** Computes the same operation on the same inputs once (gradients repeat transposes, normalisations and products of the forward). */
export function eliminateCommonSubexpressions(program: Program): Program {
  const { values } = program
  const replacements = new Map<ValueId, ValueId>()
  const literals = new Map<string, ValueId>()
  const representative = (id: ValueId): ValueId => {
    const replaced = replacements.get(id)
    if (replaced !== undefined) return replaced
    const key = literalKey(values[id]!)
    if (key === undefined) return id
    const first = literals.get(key) ?? id
    literals.set(key, first)
    replacements.set(id, first)
    return first
  }
  const seen = new Map<string, Op>()
  const ops: Op[] = []
  for (const original of program.ops) {
    const op = { ...original, inputs: original.inputs.map(representative) } as Op
    // What follows a barrier is meant to be computed again.
    if (op.kind === 'Barrier') {
      ops.push(op)
      continue
    }
    const key = opKey(op, values)
    const first = seen.get(key)
    if (first === undefined) {
      seen.set(key, op)
      ops.push(op)
    } else {
      for (const [i, id] of op.outputs.entries()) replacements.set(id, first.outputs[i]!)
    }
  }
  const outputs = Object.fromEntries(Object.entries(program.outputs).map(([name, id]) => [name, representative(id)]))
  return { ...program, ops, outputs }
}
