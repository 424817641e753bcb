/**
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header, the tensors' bytes without gaps.
 * Source: https://github.com/huggingface/safetensors, "Format". Three dtypes suffice here: F32, U8, I32.
 * Typed arrays are written in the machine's byte order, which is little-endian on every platform that Node supports for this work.
 * This file stands apart from the reading side, because the thread that writes checkpoints loads it and little else.
 */

export const SAFETENSORS_DTYPES = ['F32', 'I32', 'U8'] as const
export type SafetensorsDtype = (typeof SAFETENSORS_DTYPES)[number]

export const ELEMENT_BYTES: Readonly<Record<SafetensorsDtype, number>> = { F32: 4, I32: 4, U8: 1 }

export interface SafeTensor {
  readonly shape: readonly number[]
  /** Float32Array is stored as F32, Int32Array as I32, Uint8Array as U8. */
  readonly data: Float32Array | Int32Array | Uint8Array
}

/** A file in pieces: nothing is copied, so the tensors must stay as they are until the last piece is used. */
export interface SafetensorsPieces extends Iterable<Uint8Array> {
  readonly sizeBytes: number
}

function dtypeOf(data: SafeTensor['data']): SafetensorsDtype {
  if (data instanceof Float32Array) return 'F32'
  return data instanceof Int32Array ? 'I32' : 'U8'
}

export const elements = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1)

/**
 * A safetensors file. The same tensors and metadata always give the same bytes: wide dtypes first (so that each tensor is
 * aligned), then by name.
 * @throws RangeError where a shape does not fit its data.
 */
export function safetensorsPieces(
  tensors: Readonly<Record<string, SafeTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPieces {
  const entries = Object.entries(tensors).map(([name, tensor]) => ({ name, tensor, dtype: dtypeOf(tensor.data) }))
  entries.sort((a, b) => ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype] || (a.name < b.name ? -1 : 1))
  const header: Record<string, unknown> = {}
  const sorted = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))
  if (sorted.length > 0) header.__metadata__ = Object.fromEntries(sorted)
  let end = 0
  for (const { name, tensor, dtype } of entries) {
    if (name === '__metadata__' || name === '__proto__') throw new RangeError(`a tensor cannot be called ${name}`)
    if (elements(tensor.shape) !== tensor.data.length) {
      throw new RangeError(`tensor "${name}": shape [${tensor.shape}] does not fit ${tensor.data.length} values`)
    }
    header[name] = { dtype, shape: tensor.shape, data_offsets: [end, end + tensor.data.byteLength] }
    end += tensor.data.byteLength
  }
  const json = Buffer.from(JSON.stringify(header))
  const start = Buffer.alloc(8 + Math.ceil(json.byteLength / 8) * 8, ' ')
  start.writeBigUInt64LE(BigInt(start.byteLength - 8), 0)
  json.copy(start, 8)
  return {
    sizeBytes: start.byteLength + end,
    *[Symbol.iterator]() {
      yield start
      for (const { data } of entries.map(({ tensor }) => tensor))
        yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    },
  }
}

/** The same file as one buffer. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, SafeTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Buffer {
  return Buffer.concat([...safetensorsPieces(tensors, metadata)])
}
