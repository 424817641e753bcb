import type { TensorInfo } from '@tensorflow/tfjs'
import { StepContractError, ValueReadError } from '../errors.ts'
import type { DType, Literal, OpAttributes, OpKind, ValueId } from '../program.ts'
import { sizeOf } from '../program.ts'
import { tf } from '../tf.ts'
import { type LiteralData, literalOf, Recording } from './recording.ts'

export const TRACER = 'cxrlab-tracer'

type BackendValues = Parameters<InstanceType<typeof tf.KernelBackend>['write']>[0]

/** What the tracer keeps for one tfjs data id. */
interface Datum {
  recording: Recording | null
  id: ValueId
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly literal: Literal | undefined
  references: number
}

function dtypeOf(name: string, step: string): DType {
  if (name === 'float32' || name === 'int32' || name === 'bool') return name
  throw new StepContractError(step, `it makes a tensor of type ${name}; only float32, int32 and bool can be traced`)
}

function typedArray(values: BackendValues, dtype: DType): LiteralData {
  if (dtype === 'float32') return Float32Array.from(values as ArrayLike<number>)
  if (dtype === 'int32') return Int32Array.from(values as ArrayLike<number>)
  return Uint8Array.from(values as ArrayLike<number | boolean>, Number)
}

/**
 * A tfjs backend whose kernels record what they would compute. Tensors of a trace carry a value id in place of data;
 * tensors made outside (constants that a step closes over) are taken in as literals, and given back when another backend asks.
 */
export class TracerBackend extends tf.KernelBackend {
  private readonly data = new tf.DataStorage<Datum>(this, tf.engine())
  private current: Recording | null = null

  get recording(): Recording {
    if (this.current === null) throw new StepContractError('(none)', 'a tensor operation ran on the tracer outside a trace')
    return this.current
  }

  /** Records what `body` does, in the name of `step`, into a fresh recording. Traces do not nest. */
  record<T>(step: string, body: (recording: Recording) => T): T {
    if (this.current !== null)
      throw new StepContractError(this.current.step, `it starts a trace of ${step} while it is traced itself`)
    this.current = new Recording(step)
    try {
      return body(this.current)
    } finally {
      this.current = null
    }
  }

  /** The value id of a tensor in the running trace. */
  idOf(info: Pick<TensorInfo, 'dataId'>): ValueId {
    const datum = this.data.get(info.dataId)
    if (datum.recording === this.recording) return datum.id
    if (datum.literal === undefined) {
      throw new StepContractError(this.recording.step, 'it uses a tensor that was left over from another trace')
    }
    datum.id = this.recording.literal(datum.shape, datum.dtype, datum.literal)
    datum.recording = this.recording
    return datum.id
  }

  /** A tfjs tensor info that stands for a recorded value. */
  infoOf(id: ValueId, shape: readonly number[], dtype: DType, literal?: Literal): TensorInfo {
    const dataId = {}
    this.data.set(dataId, { recording: this.recording, id, shape, dtype, literal, references: 1 })
    return { dataId, shape: [...shape], dtype }
  }

  emit<K extends OpKind>(
    kind: K,
    inputs: readonly TensorInfo[],
    shape: readonly number[],
    dtype: string,
    attributes: OpAttributes[K],
  ): TensorInfo {
    const type = dtypeOf(dtype, this.recording.step)
    const ids = inputs.map((input) => this.idOf(input))
    return this.infoOf(this.recording.emit(kind, ids, shape, type, attributes), shape, type)
  }

  emitAll<K extends OpKind>(
    kind: K,
    inputs: readonly TensorInfo[],
    shapes: readonly (readonly number[])[],
    dtype: string,
    attributes: OpAttributes[K],
  ): TensorInfo[] {
    const type = dtypeOf(dtype, this.recording.step)
    const ids = inputs.map((input) => this.idOf(input))
    return this.recording.emitAll(kind, ids, shapes, type, attributes).map((id, i) => this.infoOf(id, shapes[i]!, type))
  }

  literal(shape: readonly number[], dtype: string, literal: Literal): TensorInfo {
    const type = dtypeOf(dtype, this.recording.step)
    return this.infoOf(this.recording.literal(shape, type, literal), shape, type, literal)
  }

  override write(values: BackendValues, shape: number[], dtype: TensorInfo['dtype']): object {
    const type = dtypeOf(dtype, this.recording.step)
    return this.literal(shape, type, literalOf(typedArray(values, type))).dataId
  }

  /** tfjs calls this for a tensor that another backend held until now. */
  override move(dataId: object, values: BackendValues, shape: number[], dtype: TensorInfo['dtype'], references: number): void {
    const type = dtypeOf(dtype, this.current?.step ?? '(none)')
    const literal = literalOf(typedArray(values, type))
    this.data.set(dataId, { recording: null, id: -1, shape: [...shape], dtype: type, literal, references })
  }

  /** Literals are known and may be read (tfjs does so when another backend takes one over); nothing else has a value yet. */
  override readSync(dataId: object): LiteralData {
    const datum = this.data.get(dataId)
    if (datum.literal === undefined) throw new ValueReadError(datum.recording?.originOf(datum.id) ?? 'a value of another trace')
    if (datum.literal.kind === 'array') return datum.literal.data.slice()
    const size = sizeOf(datum.shape)
    const filled =
      datum.dtype === 'float32' ? new Float32Array(size) : datum.dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size)
    return filled.fill(datum.literal.value)
  }

  override async read(dataId: object): Promise<LiteralData> {
    return this.readSync(dataId)
  }

  override incRef(dataId: object): void {
    this.data.get(dataId).references++
  }

  override refCount(dataId: object): number {
    return this.data.has(dataId) ? this.data.get(dataId).references : 0
  }

  override disposeData(dataId: object, force = false): boolean {
    if (!this.data.has(dataId)) return true
    const datum = this.data.get(dataId)
    datum.references--
    if (!force && datum.references > 0) return false
    this.data.delete(dataId)
    return true
  }

  override numDataIds(): number {
    return this.data.numDataIds()
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: true, reasons: ['the tracer holds no tensor data'] }
  }

  override floatPrecision(): 16 | 32 {
    return 32
  }

  override epsilon(): number {
    return 1e-7
  }

  override timerAvailable(): boolean {
    return false
  }

  override dispose(): void {}
}
