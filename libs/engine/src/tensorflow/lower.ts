import type { StepSignature } from '#libs/msn'
import { type Op, type Program, type ValueId, valueAt } from '../program.ts'
import { inputName, outputName, type TracedStep } from '../trace/trace-step.ts'
import { lowerOp } from './lowerings.ts'
import { NodeList } from './node-list.ts'
import { type Attributes, attribute, encodeSavedModel, type FunctionDef, type NodeDef, type TfType } from './proto.ts'

/** A step as a SavedModel. Nodes are named by number, since TensorFlow restricts what a name may hold. */
export interface TensorflowModel {
  readonly bytes: Uint8Array
  /** For each state entry: where its array is fed, what writes it into its variable, and what reads that. */
  readonly state: Readonly<Record<string, { readonly feed: string; readonly write: string; readonly read: string }>>
  readonly batch: Readonly<Record<string, string>>
  readonly scalars: Readonly<Record<string, string>>
  /** What a step gives back; a fetch of any runs the whole step. */
  readonly outputs: Readonly<Record<string, string>>
  /** Fetched where a step has no outputs. */
  readonly done: string
  readonly nodeCount: number
}

export interface LoweringOptions {
  readonly xla: boolean
}

const FLOAT: Attributes = { dtype: attribute.type('float32') }
const T_FLOAT: Attributes = { T: attribute.type('float32') }

/** Operations whose result may be a view of their first input's memory. */
const VIEWS: ReadonlySet<Op['kind']> = new Set(['Identity', 'Barrier', 'Reshape', 'Slice', 'SplitV', 'Transpose', 'Cast', 'Tile'])

/** Values that may be views of what is fed, which is memory of the caller. */
function viewsOfFeeds(program: Program): ReadonlySet<ValueId> {
  const views = new Set<ValueId>()
  for (const [name, id] of Object.entries(program.inputs)) if (!name.startsWith(inputName.state(''))) views.add(id)
  for (const op of program.ops) {
    if (!VIEWS.has(op.kind) || !views.has(op.inputs[0]!)) continue
    for (const id of op.outputs) views.add(id)
  }
  return views
}

/** The body of the step: reads variables, computes, and assigns only when everything is computed. */
class StepFunction {
  readonly list = new NodeList()
  private readonly references = new Map<ValueId, string>()
  private readonly inputs: { name: string; type: TfType; from: string }[] = []
  private readonly outputs: { name: string; type: TfType; from: string }[] = []
  private readonly handles = new Map<string, string>()
  private readonly program: Program

  constructor(program: Program) {
    this.program = program
  }

  argument(from: string, type: TfType): string {
    const name = `a${this.inputs.length}`
    this.inputs.push({ name, type, from })
    return name
  }

  /** Binds a batch array or a scalar to the argument that brings it. */
  feed(input: string, from: string): void {
    const id = this.program.inputs[input]
    if (id !== undefined) this.references.set(id, this.argument(from, 'float32'))
  }

  variable(input: string, from: string): void {
    const handle = this.argument(from, 'resource')
    this.handles.set(input, handle)
    const id = this.program.inputs[input]
    if (id !== undefined) this.references.set(id, this.list.value('ReadVariableOp', [handle], FLOAT))
  }

  reference(id: ValueId): string {
    const known = this.references.get(id)
    if (known !== undefined) return known
    const { dtype, shape, literal } = valueAt(this.program, id)
    if (literal === undefined) throw new RangeError(`the program uses value ${id} before it is computed`)
    const made = this.list.constant(dtype, shape, literal)
    this.references.set(id, made)
    return made
  }

  compute(): void {
    for (const op of this.program.ops) {
      const results = lowerOp(op, {
        nodes: this.list,
        inputs: op.inputs.map((id) => this.reference(id)),
        inputValues: op.inputs.map((id) => valueAt(this.program, id)),
        outputValues: op.outputs.map((id) => valueAt(this.program, id)),
      })
      for (const [i, id] of op.outputs.entries()) this.references.set(id, results[i]!)
    }
  }

  /**
   * Assignments wait for every result of the step: a step that fails half-way changes nothing, and no variable is read after it
   * was assigned. A view of fed memory is added to -0 in place of being assigned, which copies it bit for bit.
   */
  commit(next: ReadonlyMap<string, ValueId>, outputs: readonly ValueId[]): string {
    const results = [...next.values(), ...outputs].map((id) => `^${nodeOf(this.reference(id))}`)
    const computed = this.list.node('NoOp', [...new Set(results)])
    const views = viewsOfFeeds(this.program)
    const assigned: string[] = []
    for (const [input, id] of next) {
      const handle = this.handles.get(input)!
      if (!views.has(id)) {
        assigned.push(this.list.node('AssignVariableOp', [handle, this.reference(id), `^${computed}`], FLOAT))
        continue
      }
      const { shape } = valueAt(this.program, id)
      const nothing = this.list.constant('float32', shape, { kind: 'splat', value: -0 })
      const cleared = this.list.node('AssignVariableOp', [handle, nothing, `^${computed}`], FLOAT)
      assigned.push(this.list.node('AssignAddVariableOp', [handle, this.reference(id), `^${cleared}`], FLOAT))
    }
    return this.list.node(
      'NoOp',
      [computed, ...assigned].map((name) => `^${name}`),
    )
  }

  output(id: ValueId): void {
    this.outputs.push({ name: `r${this.outputs.length}`, type: 'float32', from: this.reference(id) })
  }

  get sources(): readonly string[] {
    return this.inputs.map(({ from }) => from)
  }

  get types(): readonly TfType[] {
    return this.inputs.map(({ type }) => type)
  }

  define(name: string, control: string, attr: Attributes): FunctionDef {
    return { name, inputs: this.inputs, outputs: this.outputs, controls: [control], nodes: this.list.nodes, attr }
  }
}

function nodeOf(reference: string): string {
  return reference.split(':')[0]!
}

/**
 * Writes a traced step as a SavedModel: a variable for each state entry, a function for the step, and nodes that feed, write and
 * read single entries. The program's inputs and outputs are named as `traceStep` names them.
 */
export function lowerToTensorflow(traced: TracedStep, signature: StepSignature, options: LoweringOptions): TensorflowModel {
  const nodes: NodeDef[] = []
  const add = (name: string, op: string, input: readonly string[], attr: Attributes): string => {
    nodes.push({ name, op, input, attr })
    return name
  }
  const { program } = traced
  const step = new StepFunction(program)
  const initialised: string[] = []
  const numbered = (names: readonly string[]) => names.map((name, i) => [name, i] as const)

  const state = numbered(Object.keys(signature.state)).map(([name, i]) => {
    const shape = signature.state[name]!
    const handle = add(`state${i}`, 'VarHandleOp', [], {
      ...FLOAT,
      shape: attribute.shape(shape),
      shared_name: attribute.string(`state${i}`),
      container: attribute.string(''),
    })
    const nothing = add(`nothing${i}`, 'Const', [], {
      ...FLOAT,
      value: attribute.tensor('float32', shape, { kind: 'splat', value: -0 }),
    })
    initialised.push(`^${add(`clear${i}`, 'AssignVariableOp', [handle, nothing], FLOAT)}`)
    const feed = add(`feed${i}`, 'Placeholder', [], { ...FLOAT, shape: attribute.shape(shape) })
    // A fed array that is assigned may become the variable's own memory, and stays the caller's: -0 + x is a copy of x.
    const again = add(`again${i}`, 'AssignVariableOp', [handle, nothing], FLOAT)
    const written = add(`add${i}`, 'AssignAddVariableOp', [handle, feed, `^${again}`], FLOAT)
    const write = add(`write${i}`, 'Identity', ['one', `^${written}`], T_FLOAT)
    const read = add(`read${i}`, 'ReadVariableOp', [handle], FLOAT)
    step.variable(inputName.state(name), handle)
    return [name, { feed: `${feed}:0`, write: `${write}:0`, read: `${read}:0` }] as const
  })
  add('one', 'Const', [], { ...FLOAT, value: attribute.tensor('float32', [], { kind: 'splat', value: 1 }) })
  add('initialise', 'NoOp', initialised, {})
  const batch = numbered(Object.keys(signature.batch)).map(([name, i]) => {
    const feed = add(`batch${i}`, 'Placeholder', [], { ...FLOAT, shape: attribute.shape(signature.batch[name]!) })
    step.feed(inputName.batch(name), feed)
    return [name, `${feed}:0`] as const
  })
  const scalars = numbered(signature.scalars).map(([name, i]) => {
    const feed = add(`scalar${i}`, 'Placeholder', [], { ...FLOAT, shape: attribute.shape([]) })
    step.feed(inputName.scalar(name), feed)
    return [name, `${feed}:0`] as const
  })

  step.compute()
  const next = new Map(traced.updated.map((name) => [inputName.state(name), program.outputs[outputName.state(name)]!]))
  const outputs = traced.outputs.map((name) => program.outputs[outputName.output(name)]!)
  const committed = step.commit(next, outputs)
  for (const id of outputs) step.output(id)
  const call = add('step', 'StatefulPartitionedCall', step.sources, {
    Tin: attribute.types(step.types),
    Tout: attribute.types(outputs.map(() => 'float32')),
    f: attribute.function('step_function'),
    config: attribute.string(''),
    config_proto: attribute.string(''),
    executor_type: attribute.string(''),
    ...(options.xla && { _XlaMustCompile: attribute.bool(true) }),
  })
  add('done', 'Identity', ['one', `^${call}`], T_FLOAT)
  // The second attribute keeps Grappler out of a body that XLA compiles: it would add operators that XLA refuses.
  const compiled = { _XlaMustCompile: attribute.bool(true), _tf_data_function: attribute.bool(true) }
  const body = step.define('step_function', committed, options.xla ? compiled : {})
  return {
    bytes: encodeSavedModel(nodes, [body], 'initialise'),
    state: Object.fromEntries(state),
    batch: Object.fromEntries(batch),
    scalars: Object.fromEntries(scalars),
    outputs: Object.fromEntries(traced.outputs.map((name, i) => [name, `step:${i}`])),
    done: 'done:0',
    nodeCount: step.list.nodes.length,
  }
}
