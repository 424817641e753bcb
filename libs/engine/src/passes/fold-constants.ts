import { type Op, type Program, sameShape, sizeOf, type Value, type ValueId } from '../program.ts'
import { type Rewritten, replaceOp, rewriteOps, type ValueTable } from './rewrite.ts'

const UNARY: Partial<Record<Op['kind'], (x: number) => number>> = {
  Abs: Math.abs,
  Exp: Math.exp,
  Log: Math.log,
  Neg: (x) => -x,
  Reciprocal: (x) => 1 / x,
  Rsqrt: (x) => 1 / Math.sqrt(x),
  Sqrt: Math.sqrt,
  Square: (x) => x * x,
}

const BINARY: Partial<Record<Op['kind'], (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Multiply: (a, b) => a * b,
  RealDiv: (a, b) => a / b,
  Maximum: Math.max,
  Minimum: Math.min,
  Pow: (a, b) => a ** b,
}

/** Operations that only move values about: a splat stays a splat under them. */
const MOVING: ReadonlySet<Op['kind']> = new Set(['Reshape', 'BroadcastTo', 'Transpose', 'Slice', 'Tile'])

function splatOf(value: Value | undefined): number | undefined {
  return value?.literal?.kind === 'splat' ? value.literal.value : undefined
}

function cast(value: number, dtype: Value['dtype']): number {
  if (dtype === 'float32') return Math.fround(value)
  return dtype === 'int32' ? Math.trunc(value) : Number(value !== 0)
}

/** The number that fills the result of `op`, where all its inputs are splats. */
function foldedSplat(op: Op, values: ValueTable): number | undefined {
  const [first, second] = op.inputs.map((id) => values.all[id])
  const a = splatOf(first)
  if (a === undefined) return undefined
  if (MOVING.has(op.kind) || op.kind === 'Cast') return a
  const unary = UNARY[op.kind]
  if (unary !== undefined) return unary(a)
  const binary = BINARY[op.kind]
  const b = splatOf(second)
  if (binary !== undefined && b !== undefined) return binary(a, b)
  if (op.kind === 'Mean' || op.kind === 'Max' || op.kind === 'Min') return a
  if (op.kind === 'Sum') return (a * sizeOf(first!.shape)) / sizeOf(values.all[op.outputs[0]!]!.shape)
  return undefined
}

/** The input that `op` gives back unchanged but for broadcasting (x + 0, x - 0, x * 1, x / 1, x ^ 1), if it is such an operation. */
function neutralOperand(op: Op, values: ValueTable): ValueId | undefined {
  const [a, b] = op.inputs
  if (a === undefined || b === undefined) return undefined
  const [left, right] = [splatOf(values.all[a]), splatOf(values.all[b])]
  switch (op.kind) {
    case 'Add':
      return right === 0 ? a : left === 0 ? b : undefined
    case 'Sub':
      return right === 0 ? a : undefined
    case 'Multiply':
      return right === 1 ? a : left === 1 ? b : undefined
    case 'RealDiv':
    case 'Pow':
      return right === 1 ? a : undefined
    default:
      return undefined
  }
}

/** A tile that only repeats dimensions of size one is a broadcast, which need not be stored. */
function isBroadcastingTile(op: Op, values: ValueTable): boolean {
  if (op.kind !== 'Tile') return false
  const { shape } = values.all[op.inputs[0]!]!
  return op.attributes.repeats.every((repeats, axis) => repeats === 1 || shape[axis] === 1)
}

function fold(op: Op, values: ValueTable): Rewritten {
  const result = values.all[op.outputs[0]!]!
  if (op.outputs.length > 1) return { op }
  const splat = foldedSplat(op, values)
  if (splat !== undefined) {
    const literal = { kind: 'splat', value: cast(splat, result.dtype) } as const
    return { replacedBy: values.add({ shape: result.shape, dtype: result.dtype, literal }) }
  }
  const source = values.all[op.inputs[0]!]
  if (op.kind === 'Reshape' && source?.literal !== undefined) {
    return { replacedBy: values.add({ shape: result.shape, dtype: result.dtype, literal: source.literal }) }
  }
  const neutral = neutralOperand(op, values)
  if (neutral !== undefined) {
    return { op: replaceOp(op, sameShape(values.all[neutral]!.shape, result.shape) ? 'Identity' : 'BroadcastTo', [neutral]) }
  }
  if (op.kind === 'Pow' && splatOf(values.all[op.inputs[1]!]) === 2 && sameShape(source!.shape, result.shape)) {
    return { op: replaceOp(op, 'Square', [op.inputs[0]!]) }
  }
  return { op: isBroadcastingTile(op, values) ? replaceOp(op, 'BroadcastTo', op.inputs) : op }
}

/**
 * Computes what is known before the step runs: arithmetic of splats in float32 rounding, moves of splats, neutral elements
 * (the gradient of a mean multiplies by an array of ones). -0 + 0 becomes -0 here; nothing else changes value.
 */
export function foldConstants(program: Program): Program {
  return rewriteOps(program, fold)
}
