/**
 * Which values of a program are held in bfloat16. Matrix products compute in it, with float32 sums inside; what only moves
 * numbers between two products stays in it, since rounding and moving commute. All other operations are float32.
 */
import { type Op, type Program, type ValueId, valueAt } from '../program.ts'

/** Operations that give numbers of their inputs back as they are. */
const MOVES: ReadonlySet<Op['kind']> = new Set([
  'Identity',
  'Barrier',
  'Reshape',
  'Transpose',
  'Slice',
  'SplitV',
  'Concat',
  'Tile',
  'BroadcastTo',
  'GatherV2',
])

/** Inputs whose numbers a move hands on. The others order it or index. */
function movedInputs(op: Op): readonly ValueId[] {
  return op.kind === 'Concat' ? op.inputs : op.inputs.slice(0, 1)
}

function isProduct(op: Op): boolean {
  return op.kind === 'BatchMatMul'
}

export interface Bfloat16Plan {
  /** Whether the operation computes in bfloat16, on operands and results of that type. */
  computesInBfloat16(op: Op): boolean
  /** Whether an input of such an operation is handed over in bfloat16 (indices and what only orders are not). */
  takesInBfloat16(op: Op, input: number): boolean
}

/** For float32 nothing is held in bfloat16. */
export const FLOAT32_PLAN: Bfloat16Plan = { computesInBfloat16: () => false, takesInBfloat16: () => false }

export function planBfloat16(program: Program): Bfloat16Plan {
  const rounded = roundedValues(program)
  const suffices = valuesForProducts(program)
  const inBfloat16 = new Set<Op>()
  for (const op of program.ops) {
    const isMove = MOVES.has(op.kind) && valueAt(program, op.inputs[0]!).dtype === 'float32'
    const moves = isMove && (op.outputs.every((id) => suffices.has(id)) || movedInputs(op).every((id) => rounded.has(id)))
    if (moves || isProduct(op)) inBfloat16.add(op)
  }
  return {
    computesInBfloat16: (op) => inBfloat16.has(op),
    takesInBfloat16: (op, input) => !MOVES.has(op.kind) || movedInputs(op).includes(op.inputs[input]!),
  }
}

/** Values that a product has rounded to bfloat16, also where they were moved since. */
function roundedValues(program: Program): ReadonlySet<ValueId> {
  const values = new Set<ValueId>()
  for (const op of program.ops) {
    const moved = MOVES.has(op.kind) && movedInputs(op).every((id) => values.has(id))
    if (moved || isProduct(op)) for (const id of op.outputs) values.add(id)
  }
  return values
}

/** Values that, moved or not, only products take: bfloat16 is all that anybody needs of them. */
function valuesForProducts(program: Program): ReadonlySet<ValueId> {
  const needed = new Set<ValueId>(Object.values(program.outputs))
  for (const op of [...program.ops].reverse()) {
    if (isProduct(op)) continue
    const suffices = MOVES.has(op.kind) && op.outputs.every((id) => !needed.has(id))
    for (const id of suffices ? op.inputs.filter((input) => !movedInputs(op).includes(input)) : op.inputs) needed.add(id)
  }
  const all = program.values.map((_, id) => id)
  return new Set(all.filter((id) => !needed.has(id) && valueAt(program, id).dtype === 'float32'))
}
