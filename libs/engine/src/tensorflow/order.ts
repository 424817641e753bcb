/**
 * When an operation that needs nothing but state, scalars and constants should run. TensorFlow starts everything that is ready:
 * without an order it would, at the start of a step, decay every moment and average, and hold the results until the gradients
 * come. Each such operation waits for the value that its result is first used with, and finds it in the caches.
 */
import type { Op, Program, ValueId } from '../program.ts'

/** For each such operation, a value that it must wait for. */
export function laterThan(program: Program): ReadonlyMap<Op, ValueId> {
  const early = earlyValues(program)
  const uses = usesOf(program)
  const waits = new Map<Op, ValueId>()
  // Users come after what they use, so that their own waiting is known.
  for (const op of [...program.ops].reverse()) {
    if (!op.outputs.every((id) => early.has(id))) continue
    const users = op.outputs.flatMap((id) => uses.get(id) ?? [])
    const [first] = users
    if (first === undefined) continue
    const isEarly = first.outputs.every((id) => early.has(id))
    // What an early user waits for may come from another user: then waiting for it would never end.
    if (isEarly && users.length > 1) continue
    const wait = isEarly ? waits.get(first) : first.inputs.find((id) => !early.has(id))
    if (wait !== undefined) waits.set(op, wait)
  }
  return waits
}

/** The operations that take a value, in their order. */
function usesOf(program: Program): ReadonlyMap<ValueId, readonly Op[]> {
  const uses = new Map<ValueId, Op[]>()
  for (const op of program.ops) {
    for (const id of op.inputs) {
      const users = uses.get(id)
      if (users) users.push(op)
      else uses.set(id, [op])
    }
  }
  return uses
}

/** Inputs other than batch arrays, literals, and what is computed from these alone. */
function earlyValues(program: Program): ReadonlySet<ValueId> {
  const early = new Set<ValueId>(Object.entries(program.inputs).flatMap(([name, id]) => (name.startsWith('batch:') ? [] : [id])))
  for (const op of program.ops) {
    const ready = op.inputs.every((id) => early.has(id) || program.values[id]?.literal !== undefined)
    if (ready && op.kind !== 'Barrier') for (const id of op.outputs) early.add(id)
  }
  return early
}
