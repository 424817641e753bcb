/** TensorFlow's graphs as protocol buffers. */
import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import type { Literal } from '../program.ts'
import { sizeOf } from '../program.ts'

/** DataType of types.proto. */
export const TF_TYPE = { float32: 1, int32: 3, bool: 10, bfloat16: 14, resource: 20 } as const
export type TfType = keyof typeof TF_TYPE

/** An AttrValue message. */
export type Attribute = Readonly<Record<string, unknown>>
export type Attributes = Readonly<Record<string, Attribute>>

export interface NodeDef {
  readonly name: string
  readonly op: string
  readonly input: readonly string[]
  readonly attr: Attributes
}

export interface FunctionDef {
  readonly name: string
  readonly inputs: readonly { readonly name: string; readonly type: TfType }[]
  readonly outputs: readonly { readonly name: string; readonly type: TfType; readonly from: string }[]
  /** Nodes that must run although nothing takes their result. */
  readonly controls: readonly string[]
  readonly nodes: readonly NodeDef[]
  readonly attr: Attributes
}

const shapeOf = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size })) })
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export const attribute = {
  type: (type: TfType): Attribute => ({ type: TF_TYPE[type] }),
  types: (types: readonly TfType[]): Attribute => ({ list: { type: types.map((type) => TF_TYPE[type]) } }),
  int: (i: number): Attribute => ({ i }),
  float: (f: number): Attribute => ({ f }),
  bool: (b: boolean): Attribute => ({ b }),
  string: (text: string): Attribute => ({ s: bytesOf(text) }),
  bytes: (s: Uint8Array): Attribute => ({ s }),
  strings: (texts: readonly string[]): Attribute => ({ list: { s: texts.map(bytesOf) } }),
  shape: (shape: readonly number[]): Attribute => ({ shape: shapeOf(shape) }),
  function: (name: string): Attribute => ({ func: { name } }),
  /** A splat is written as its one number: TensorFlow repeats the last value of a short list. */
  tensor: (type: 'float32' | 'int32' | 'bool', shape: readonly number[], literal: Literal): Attribute => ({
    tensor: { dtype: TF_TYPE[type], tensorShape: shapeOf(shape), ...contentOf(type, shape, literal) },
  }),
}

function contentOf(type: 'float32' | 'int32' | 'bool', shape: readonly number[], literal: Literal): Record<string, unknown> {
  if (literal.kind === 'splat' && sizeOf(shape) > 0) {
    if (type === 'float32') return { floatVal: [literal.value] }
    return type === 'int32' ? { intVal: [literal.value] } : { boolVal: [literal.value !== 0] }
  }
  const numbers = literal.kind === 'array' ? literal.data : []
  const typed =
    type === 'float32' ? Float32Array.from(numbers) : type === 'int32' ? Int32Array.from(numbers) : Uint8Array.from(numbers)
  return { tensorContent: new Uint8Array(typed.buffer) }
}

let root: protobuf.Root | undefined

function messageType(name: 'SavedModel' | 'ConfigProto'): protobuf.Type {
  root ??= protobuf.parse(readFileSync(new URL('./saved-model.proto', import.meta.url), 'utf8')).root
  return root.lookupType(`tensorflow.${name}`)
}

/** Which of Grappler's rewriters run on a function; field names and values of RewriterConfig. */
export function encodeRewriters(toggles: Readonly<Record<string, 'ON' | 'OFF' | 'ONE'>>): Uint8Array {
  const type = messageType('ConfigProto')
  return type.encode(type.fromObject({ graphOptions: { rewriteOptions: toggles } })).finish()
}

function functionMessage(def: FunctionDef): Record<string, unknown> {
  const controls = def.controls.map((node, i) => [`control${i}`, node] as const)
  return {
    signature: {
      name: def.name,
      inputArg: def.inputs.map(({ name, type }) => ({ name, type: TF_TYPE[type] })),
      outputArg: def.outputs.map(({ name, type }) => ({ name, type: TF_TYPE[type] })),
      isStateful: true,
      controlOutput: controls.map(([name]) => name),
    },
    nodeDef: def.nodes,
    ret: Object.fromEntries(def.outputs.map(({ name, from }) => [name, from])),
    attr: def.attr,
    controlRet: Object.fromEntries(controls),
  }
}

/** Version of the graph format that TensorFlow 2.21 writes (versions.h). */
const GRAPH_PRODUCER = 1882

/** The bytes of saved_model.pb with one graph, tagged `serve`, whose node `initialiser` runs when it is loaded. */
export function encodeSavedModel(nodes: readonly NodeDef[], functions: readonly FunctionDef[], initialiser: string): Uint8Array {
  const type = messageType('SavedModel')
  const graphDef = {
    node: nodes,
    library: { function: functions.map(functionMessage) },
    versions: { producer: GRAPH_PRODUCER },
  }
  const metaGraph = {
    metaInfoDef: { tags: ['serve'] },
    graphDef,
    collectionDef: { saved_model_main_op: { nodeList: { value: [initialiser] } } },
  }
  return type.encode(type.create({ savedModelSchemaVersion: 1, metaGraphs: [metaGraph] })).finish()
}
