import type { DType, Literal } from '../program.ts'
import { type Attributes, attribute, type NodeDef, type TfType } from './proto.ts'

/** Names of results in a function body (`node:argument:index`), where an operator's is not the usual `output`. */
const RESULT_NAME: Readonly<Record<string, string>> = {
  ...named('z', 'AddV2 Sub Mul RealDiv Pow Maximum Minimum SquaredDifference LogicalAnd LogicalOr'),
  ...named('z', 'Equal NotEqual Greater GreaterEqual Less LessEqual'),
  ...named('y', 'Abs Ceil Cos Erf Exp Expm1 Floor Log Log1p LogicalNot Neg Reciprocal Round Rsqrt Sigmoid Sign Sin Sqrt Square'),
  ...named('y', 'Tanh Cast Transpose L2Loss'),
  ...named('activations', 'Relu Softplus'),
  Softmax: 'softmax',
  LogSoftmax: 'logsoftmax',
  MatMul: 'product',
  AddN: 'sum',
  ReadVariableOp: 'value',
}

function named(result: string, operators: string): Record<string, string> {
  return Object.fromEntries(operators.split(' ').map((operator) => [operator, result]))
}

/** Collects the nodes of a function body. References are what other nodes take as inputs. */
export class NodeList {
  readonly nodes: NodeDef[] = []
  private readonly shared = new Map<string, string>()

  /** Appends a node; returns its name, by which control inputs (`^name`) refer to it. */
  node(op: string, input: readonly string[], attr: Attributes = {}, name = `${op}_${this.nodes.length}`): string {
    this.nodes.push({ name, op, input, attr })
    return name
  }

  /** Lets the nodes appended since there were `from` run only after `reference` is computed. Constants need not wait. */
  delay(from: number, reference: string, to: number): void {
    const after = `^${reference.split(':')[0]}`
    for (let i = from; i < to; i++) {
      const node = this.nodes[i]!
      if (node.op !== 'Const') this.nodes[i] = { ...node, input: [...node.input, after] }
    }
  }

  /** Appends a node with one result and returns the reference to that. */
  value(op: string, input: readonly string[], attr: Attributes = {}): string {
    return this.values(op, input, attr, 1)[0]!
  }

  /** References to the results of a node that gives a list of `count`. */
  values(op: string, input: readonly string[], attr: Attributes, count: number): string[] {
    const name = this.node(op, input, attr)
    return Array.from({ length: count }, (_, i) => `${name}:${RESULT_NAME[op] ?? 'output'}:${i}`)
  }

  /** A constant; one node for all that are alike. Long arrays are not compared. */
  constant(type: DType, shape: readonly number[], literal: Literal): string {
    const make = (): string =>
      this.value('Const', [], { dtype: attribute.type(type), value: attribute.tensor(type, shape, literal) })
    if (literal.kind === 'array' && literal.data.length > 64) return make()
    const content =
      literal.kind === 'splat' ? textOf(literal.value) : `[${Array.from(literal.data, (number) => textOf(number)).join(',')}]`
    return this.once(`${type} ${shape.join(',')} ${content}`, make)
  }

  /** A number of shape []. */
  scalar(type: DType, value: number): string {
    return this.constant(type, [], { kind: 'splat', value })
  }

  /** A vector of int32: shapes, axes, bounds. */
  integers(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant('int32', shape, { kind: 'array', data: Int32Array.from(values) })
  }

  cast(from: string, source: TfType, target: TfType): string {
    return this.once(`cast ${target} ${from}`, () =>
      this.value('Cast', [from], { SrcT: attribute.type(source), DstT: attribute.type(target) }),
    )
  }

  private once(key: string, make: () => string): string {
    const known = this.shared.get(key)
    if (known !== undefined) return known
    const made = make()
    this.shared.set(key, made)
    return made
  }
}

function textOf(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
