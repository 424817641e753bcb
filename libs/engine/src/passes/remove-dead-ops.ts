import type { Program, ValueId } from '../program.ts'

/** Drops operations on whose results no output depends (gradients that nobody asked for, saved values that no gradient uses). */
export function removeDeadOps(program: Program): Program {
  const needed = new Set<ValueId>(Object.values(program.outputs))
  const kept = []
  for (let i = program.ops.length - 1; i >= 0; i--) {
    const op = program.ops[i]!
    if (!op.outputs.some((id) => needed.has(id))) continue
    for (const id of op.inputs) needed.add(id)
    kept.push(op)
  }
  return { ...program, ops: kept.reverse() }
}
