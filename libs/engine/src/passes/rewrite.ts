import type { Op, OpOf, Program, Value, ValueId } from '../program.ts'

/** A rewrite of a program that keeps what its outputs compute. Passes never change their argument. */
export type Pass = (program: Program) => Program

/** What a rewriting pass makes of one operation. */
export type Rewritten =
  | { readonly op: Op }
  /** The operation goes away; its single result is another value from now on. */
  | { readonly replacedBy: ValueId }

/** Values of the program under rewriting; `add` appends one. */
export interface ValueTable {
  readonly all: readonly Value[]
  add(value: Value): ValueId
}

/**
 * Walks the operations in order. `rewrite` sees each with its inputs already replaced, and says what becomes of it; the
 * replacements also reach the program's outputs.
 */
export function rewriteOps(program: Program, rewrite: (op: Op, values: ValueTable) => Rewritten): Program {
  const all = [...program.values]
  const values: ValueTable = { all, add: (value) => all.push(value) - 1 }
  const replacements = new Map<ValueId, ValueId>()
  const resolve = (id: ValueId): ValueId => replacements.get(id) ?? id
  const ops: Op[] = []
  for (const op of program.ops) {
    const result = rewrite(withInputs(op, op.inputs.map(resolve)), values)
    if ('op' in result) ops.push(result.op)
    else replacements.set(op.outputs[0]!, result.replacedBy)
  }
  const outputs = Object.fromEntries(Object.entries(program.outputs).map(([name, id]) => [name, resolve(id)]))
  return { ops, values: all, inputs: program.inputs, outputs }
}

/** The same operation on other inputs. */
export function withInputs(op: Op, inputs: readonly ValueId[]): Op {
  return { ...op, inputs } as Op
}

/** An operation of another kind in the place of `op`: same results. */
export function replaceOp<K extends 'Identity' | 'BroadcastTo' | 'Square' | 'Reshape'>(
  op: Op,
  kind: K,
  inputs: readonly ValueId[],
): Op {
  const replaced: OpOf<'Identity'> = { kind: 'Identity', inputs, outputs: op.outputs, attributes: {} }
  return { ...replaced, kind } as Op
}
