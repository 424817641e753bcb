import type { StepSignature } from '#libs/msn'
import { type Op, type Program, type ValueId, valueAt } from '../program.ts'
import { inputName, outputName, type TracedStep } from '../trace/trace-step.ts'
import { type Bfloat16Plan, FLOAT32_PLAN, planBfloat16 } from './bfloat16.ts'
import { lowerOp, type Operand } from './lowerings.ts'
import { NodeList } from './node-list.ts'
import { laterThan } from './order.ts'
import {
  type Attributes,
  attribute,
  encodeRewriters,
  encodeSavedModel,
  type FunctionDef,
  type NodeDef,
  type TfType,
} from './proto.ts'

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
  readonly precision: 'float32' | 'bfloat16'
  readonly xla: boolean
}

const FLOAT: Attributes = { dtype: attribute.type('float32') }
const T_FLOAT: Attributes = { T: attribute.type('float32') }

/**
 * The passes have done what most of Grappler's rewriters do, and its composition of unary operations is slow: exp(x^2) took 4 times
 * as long as both. What is wanted is the remapper, which gives products their bias.
 */
const REWRITERS = {
  layoutOptimizer: 'OFF',
  constantFolding: 'OFF',
  arithmeticOptimization: 'OFF',
  loopOptimization: 'OFF',
  shapeOptimization: 'OFF',
  commonSubgraphElimination: 'OFF',
  metaOptimizerIterations: 'ONE',
  remapping: 'ON',
} as const

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
  /** The same in bfloat16, where a product gives or takes it. */
  private readonly rounded = new Map<ValueId, string>()
  private readonly inputs: { name: string; type: TfType; from: string }[] = []
  private readonly outputs: { name: string; type: TfType; from: string }[] = []
  private readonly handles = new Map<string, string>()
  private readonly program: Program
  private readonly plan: Bfloat16Plan

  constructor(program: Program, precision: LoweringOptions['precision']) {
    this.program = program
    this.plan = precision === 'bfloat16' ? planBfloat16(program) : FLOAT32_PLAN
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
    const made = this.make(id)
    this.references.set(id, made)
    return made
  }

  compute(): void {
    const waits = laterThan(this.program)
    const delayed: { readonly from: number; readonly to: number; readonly wait: ValueId }[] = []
    for (const op of this.program.ops) {
      const rounded = this.plan.computesInBfloat16(op)
      const takesRounded = op.inputs.map((_, i) => rounded && this.plan.takesInBfloat16(op, i))
      const from = this.list.nodes.length
      const results = lowerOp(op, {
        nodes: this.list,
        inputs: op.inputs.map((id, i) => (takesRounded[i] ? this.roundedReference(id) : this.reference(id))),
        inputValues: op.inputs.map((id, i) => this.operand(id, takesRounded[i]!)),
        outputValues: op.outputs.map((id) => this.operand(id, rounded)),
      })
      for (const [i, id] of op.outputs.entries()) (rounded ? this.rounded : this.references).set(id, results[i]!)
      const wait = waits.get(op)
      if (wait !== undefined) delayed.push({ from, to: this.list.nodes.length, wait })
    }
    for (const { from, to, wait } of delayed) this.list.delay(from, this.computed(wait), to)
  }

  /** A reference to a value in whichever type it was computed. */
  private computed(id: ValueId): string {
    return this.rounded.get(id) ?? this.reference(id)
  }

  private operand(id: ValueId, rounded: boolean): Operand {
    const { shape, dtype } = valueAt(this.program, id)
    return { shape, dtype: rounded ? 'bfloat16' : dtype }
  }

  private make(id: ValueId): string {
    const rounded = this.rounded.get(id)
    if (rounded !== undefined) return this.list.cast(rounded, 'bfloat16', 'float32')
    const { dtype, shape, literal } = valueAt(this.program, id)
    if (literal === undefined) throw new RangeError(`the program uses value ${id} before it is computed`)
    return this.list.constant(dtype, shape, literal)
  }

  private roundedReference(id: ValueId): string {
    const known = this.rounded.get(id)
    if (known !== undefined) return known
    const made = this.list.cast(this.reference(id), 'float32', 'bfloat16')
    this.rounded.set(id, made)
    return made
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
  const step = new StepFunction(program, options.precision)
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
    config_proto: attribute.bytes(encodeRewriters(REWRITERS)),
    executor_type: attribute.string(''),
    ...(options.xla && { _XlaMustCompile: attribute.bool(true) }),
  })
  add('done', 'Identity', ['one', `^${call}`], T_FLOAT)
  // The second attribute keeps Grappler out of a body that XLA compiles: it would add operators that XLA refuses.
  const compiled = { _XlaMustCompile: attribute.bool(true), _tf_data_function: attribute.bool(true) }
  const body = step.define('step_function', committed, options.xla ? compiled : { _noinline: attribute.bool(true) })
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
