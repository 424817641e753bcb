import { type Program, type Value, type ValueId, valueAt } from '../program.ts'
import { fuseForOnnx } from './fusions.ts'
import { lowerOp } from './lowerings.ts'
import { ModelBuilder } from './model-builder.ts'

export interface OnnxModel {
  readonly bytes: Uint8Array
  /** The program's inputs that the model really uses; the others must not be fed. */
  readonly inputs: readonly string[]
  /** All outputs of the program, by the same names. */
  readonly outputs: readonly string[]
  readonly nodeCount: number
}

/** Names of values in the graph. A result that is an output has the output's name, so that no copy is needed. */
class Names {
  private readonly names = new Map<ValueId, string>()
  private readonly program: Program
  private readonly builder: ModelBuilder

  constructor(program: Program, builder: ModelBuilder) {
    this.program = program
    this.builder = builder
    for (const [name, id] of Object.entries(program.inputs)) this.names.set(id, name)
    const produced = new Set(program.ops.flatMap((op) => op.outputs))
    for (const [name, id] of Object.entries(program.outputs))
      if (produced.has(id) && !this.names.has(id)) this.names.set(id, name)
  }

  of(id: ValueId): string {
    const known = this.names.get(id)
    if (known !== undefined) return known
    const value = valueAt(this.program, id)
    return value.literal === undefined ? `v${id}` : this.builder.literal(id, value, value.literal)
  }
}

function usedInputs(program: Program): Map<string, Value> {
  const used = new Set<ValueId>([...program.ops.flatMap((op) => op.inputs), ...Object.values(program.outputs)])
  const entries = Object.entries(program.inputs).filter(([, id]) => used.has(id))
  return new Map(entries.map(([name, id]) => [name, valueAt(program, id)]))
}

/** Writes a program as an ONNX model whose inputs and outputs bear the program's names. */
export function lowerToOnnx(program: Program, graphName: string): OnnxModel {
  const builder = new ModelBuilder()
  const names = new Names(program, builder)
  for (const op of fuseForOnnx(program)) {
    lowerOp(op, {
      builder,
      inputs: op.inputs.map((id) => names.of(id)),
      outputs: op.outputs.map((id) => names.of(id)),
      inputValues: op.inputs.map((id) => valueAt(program, id)),
      outputValues: op.outputs.map((id) => valueAt(program, id)),
    })
  }
  const outputs = new Map<string, Value>()
  for (const [name, id] of Object.entries(program.outputs)) {
    // An input, a literal, or a result that already bears another output's name.
    if (names.of(id) !== name) builder.node('Identity', [names.of(id)], [name])
    outputs.set(name, valueAt(program, id))
  }
  const inputs = usedInputs(program)
  const bytes = builder.encode(graphName, inputs, outputs)
  return { bytes, inputs: [...inputs.keys()], outputs: [...outputs.keys()], nodeCount: builder.nodeCount }
}
