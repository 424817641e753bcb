/**
 * A ViT encoder as an ONNX model: input `image` [batch, 3, side, side], float32, normalised; output `features` [batch, dim], the class
 * token after the final LayerNorm; the batch is free. Plain operators of operator set 17, so that any runtime can take it.
 */
import onnxProto from 'onnx-proto'
import type { BackboneSpec } from '#libs/experiments'
import type { NamedTensor, NamedTensors } from '#libs/training'

const { onnx } = onnxProto

/** IR version 8 belongs to operator set 17, which has LayerNormalization. */
const IR_VERSION = 8
export const OPERATOR_SET = 17

/** TensorProto.DataType */
const FLOAT = 1
const INT64 = 7

type Attribute = NonNullable<Parameters<typeof onnx.AttributeProto.create>[0]>
const int = (name: string, i: number): Attribute => ({ name, type: 2, i })
const ints = (name: string, values: readonly number[]): Attribute => ({ name, type: 7, ints: [...values] })
const float = (name: string, f: number): Attribute => ({ name, type: 1, f })

const bytesOf = (data: Float32Array | BigInt64Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** Collects nodes and weights of one graph. Every node has one result, whose name is given back. */
class Graph {
  readonly #nodes: InstanceType<typeof onnx.NodeProto>[] = []
  readonly #initializers = new Map<string, InstanceType<typeof onnx.TensorProto>>()
  readonly #weights: NamedTensors

  constructor(weights: NamedTensors) {
    this.#weights = weights
  }

  node(opType: string, input: readonly string[], attributes: readonly Attribute[] = [], output?: string): string {
    const name = output ?? `${opType.toLowerCase()}_${this.#nodes.length}`
    const attribute = attributes.map((each) => onnx.AttributeProto.create(each))
    this.#nodes.push(
      onnx.NodeProto.create({ opType, name: `n${this.#nodes.length}`, input: [...input], output: [name], attribute }),
    )
    return name
  }

  weight(name: string): string {
    const { shape, data } = this.#tensor(name)
    return this.#initializer(name, FLOAT, shape, bytesOf(data))
  }

  /** A linear layer's weight [out, in] as [in, out]. */
  transposed(name: string): string {
    const { shape, data } = this.#tensor(name)
    const [rows, columns] = shape as [number, number]
    const turned = new Float32Array(data.length)
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) turned[column * rows + row] = data[row * columns + column]!
    }
    return this.#initializer(`${name}.T`, FLOAT, [columns, rows], bytesOf(turned))
  }

  number(value: number): string {
    return this.#initializer(`number ${value}`, FLOAT, [], bytesOf(Float32Array.of(value)))
  }

  integers(...values: number[]): string {
    return this.#initializer(`integers ${values}`, INT64, [values.length], bytesOf(BigInt64Array.from(values, BigInt)))
  }

  index(value: number): string {
    return this.#initializer(`index ${value}`, INT64, [], bytesOf(BigInt64Array.of(BigInt(value))))
  }

  encode(name: string, sidePx: number, dim: number, metadata: Readonly<Record<string, string>>): Uint8Array {
    const batch = { dimParam: 'batch' }
    const info = (value: string, dims: readonly (number | typeof batch)[]) => ({
      name: value,
      type: {
        tensorType: {
          elemType: FLOAT,
          shape: { dim: dims.map((each) => (typeof each === 'number' ? { dimValue: each } : each)) },
        },
      },
    })
    const graph = {
      name,
      node: this.#nodes,
      initializer: [...this.#initializers.values()],
      input: [info('image', [batch, 3, sidePx, sidePx])],
      output: [info('features', [batch, dim])],
    }
    const model = onnx.ModelProto.create({
      irVersion: IR_VERSION,
      producerName: 'cxrlab',
      opsetImport: [{ domain: '', version: OPERATOR_SET }],
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph,
    })
    return onnx.ModelProto.encode(model).finish()
  }

  #tensor(name: string): NamedTensor {
    const tensor = this.#weights[name]
    if (!tensor) throw new RangeError(`no weight ${name}`)
    return tensor
  }

  #initializer(name: string, dataType: number, shape: readonly number[], rawData: Uint8Array): string {
    if (!this.#initializers.has(name))
      this.#initializers.set(name, onnx.TensorProto.create({ name, dataType, dims: [...shape], rawData }))
    return name
  }
}

/**
 * @param weights of timmBackbone
 * @param metadata of describeWeights; stands in the model's metadata
 */
export function onnxEncoder(
  backbone: BackboneSpec,
  weights: NamedTensors,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const graph = new Graph(weights)
  let tokens = embed(graph, backbone)
  for (let block = 0; block < backbone.depth; block++) tokens = addBlock(graph, backbone, `blocks.${block}`, tokens)
  const classToken = graph.node('Gather', [tokens, graph.index(0)], [int('axis', 1)])
  layerNorm(graph, backbone, 'norm', classToken, 'features')
  return graph.encode('encoder', backbone.imagePx, backbone.dim, { ...metadata, opset: String(OPERATOR_SET) })
}

/** [batch, 1 + patches, dim] */
function embed(graph: Graph, { dim, patchPx, imagePx }: BackboneSpec): string {
  const patches = (imagePx / patchPx) ** 2
  const kernel = [patchPx, patchPx]
  const convolved = graph.node(
    'Conv',
    ['image', graph.weight('patch_embed.proj.weight'), graph.weight('patch_embed.proj.bias')],
    [ints('kernel_shape', kernel), ints('strides', kernel)],
  )
  const flat = graph.node('Reshape', [convolved, graph.integers(0, dim, patches)])
  const embedded = graph.node('Transpose', [flat], [ints('perm', [0, 2, 1])])
  const batch = graph.node('Gather', [graph.node('Shape', ['image']), graph.integers(0)], [int('axis', 0)])
  const shape = graph.node('Concat', [batch, graph.integers(1), graph.integers(dim)], [int('axis', 0)])
  const classToken = graph.node('Expand', [graph.weight('cls_token'), shape])
  return graph.node('Add', [graph.node('Concat', [classToken, embedded], [int('axis', 1)]), graph.weight('pos_embed')])
}

function layerNorm(graph: Graph, { layerNormEps }: BackboneSpec, name: string, x: string, output?: string): string {
  const inputs = [x, graph.weight(`${name}.weight`), graph.weight(`${name}.bias`)]
  return graph.node('LayerNormalization', inputs, [int('axis', -1), float('epsilon', layerNormEps)], output)
}

function linear(graph: Graph, name: string, x: string): string {
  return graph.node('Add', [graph.node('MatMul', [x, graph.transposed(`${name}.weight`)]), graph.weight(`${name}.bias`)])
}

/** A pre-norm block. [batch, tokens, dim] -> the same */
function addBlock(graph: Graph, backbone: BackboneSpec, name: string, x: string): string {
  const mixed = attention(graph, backbone, linear(graph, `${name}.attn.qkv`, layerNorm(graph, backbone, `${name}.norm1`, x)))
  const attended = graph.node('Add', [x, linear(graph, `${name}.attn.proj`, mixed)])
  const hidden = linear(graph, `${name}.mlp.fc1`, layerNorm(graph, backbone, `${name}.norm2`, attended))
  return graph.node('Add', [attended, linear(graph, `${name}.mlp.fc2`, gelu(graph, hidden))])
}

/** [batch, tokens, 3 dim] -> [batch, tokens, dim] */
function attention(graph: Graph, { dim, heads }: BackboneSpec, projected: string): string {
  const headDim = dim / heads
  const split = graph.node('Reshape', [projected, graph.integers(0, 0, 3, heads, headDim)])
  const byHead = graph.node('Transpose', [split], [ints('perm', [2, 0, 3, 1, 4])])
  const part = (index: number) => graph.node('Gather', [byHead, graph.index(index)], [int('axis', 0)])
  const query = graph.node('Mul', [part(0), graph.number(1 / Math.sqrt(headDim))])
  const keys = graph.node('Transpose', [part(1)], [ints('perm', [0, 1, 3, 2])])
  const weights = graph.node('Softmax', [graph.node('MatMul', [query, keys])], [int('axis', -1)])
  const mixed = graph.node('Transpose', [graph.node('MatMul', [weights, part(2)])], [ints('perm', [0, 2, 1, 3])])
  return graph.node('Reshape', [mixed, graph.integers(0, 0, dim)])
}

function gelu(graph: Graph, x: string): string {
  const erf = graph.node('Erf', [graph.node('Mul', [x, graph.number(Math.SQRT1_2)])])
  const phi = graph.node('Mul', [graph.node('Add', [erf, graph.number(1)]), graph.number(0.5)])
  return graph.node('Mul', [x, phi])
}
