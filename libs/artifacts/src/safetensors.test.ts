import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArtifactMismatchError } from '#libs/training'
import { decodeSafetensors, float32Tensors } from './safetensors.ts'
import { encodeSafetensors } from './safetensors-encode.ts'

const sample = {
  weight: { shape: [2, 3], data: Float32Array.of(1, -2.5, 3e-8, Number.POSITIVE_INFINITY, -0, 6) },
  codes: { shape: [3], data: Uint8Array.of(0, 255, 7) },
  patient: { shape: [2], data: Int32Array.of(-1, 2 ** 31 - 1) },
  scalar: { shape: [], data: Float32Array.of(42) },
  nothing: { shape: [0, 5], data: new Float32Array() },
}

/** A file with a header of one's own making. */
function fileOf(header: unknown, dataBytes: number): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.byteLength))
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)])
}

const f32 = (shape: number[], begin: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [begin, end] })

describe('safetensors', () => {
  it('gives back tensors, shapes, dtypes and metadata', () => {
    const file = decodeSafetensors(encodeSafetensors(sample, { step: '12', kind: 'x' }), 'file')
    expect(file.tensors).toEqual(sample)
    expect(file.metadata).toEqual({ step: '12', kind: 'x' })
  })

  it('writes the same bytes whatever order tensors and metadata come in, each tensor aligned', () => {
    const turned = Object.fromEntries(Object.entries(sample).reverse())
    const bytes = encodeSafetensors(sample, { a: '1', b: '2' })
    expect(encodeSafetensors(turned, { b: '2', a: '1' }).equals(bytes)).toBe(true)
    const headerBytes = Number(bytes.readBigUInt64LE(0))
    expect(headerBytes % 8).toBe(0)
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes))
    expect(header.weight.data_offsets[0] % 4).toBe(0)
    expect(header.patient.data_offsets[0] % 4).toBe(0)
  })

  it('reads a file that lies unaligned in memory', () => {
    const bytes = encodeSafetensors(sample)
    const shifted = new Uint8Array(bytes.byteLength + 1)
    shifted.set(bytes, 1)
    expect(decodeSafetensors(shifted.subarray(1), 'file').tensors).toEqual(sample)
  })

  it('never reads a truncated or lengthened file', () => {
    const bytes = encodeSafetensors(sample, { step: '1' })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.byteLength - 1 }), (length) => {
        expect(() => decodeSafetensors(bytes.subarray(0, length), 'file')).toThrow(ArtifactMismatchError)
      }),
    )
    expect(() => decodeSafetensors(Buffer.concat([bytes, Buffer.alloc(4)]), 'file')).toThrow('take 39 bytes, 43 are there')
  })

  it.each([
    ['shorter than its length field', Buffer.alloc(7), 'shorter than 8 bytes'],
    ['a huge header', Buffer.from('ffffffffffffff7f', 'hex'), 'header claims'],
    ['a header past the end', Buffer.from('ff00000000000000', 'hex'), 'ends within its header'],
    ['no JSON', fileOf('{not json', 0), 'not JSON'],
    ['no object', fileOf('[1]', 0), 'not a JSON object'],
    ['an unknown dtype', fileOf({ a: { dtype: 'F16', shape: [2], data_offsets: [0, 4] } }, 4), '"a" has dtype "F16"'],
    ['a negative side', fileOf({ a: f32([-1], 0, 4) }, 4), '"a" has no valid shape'],
    ['no offsets', fileOf({ a: { dtype: 'F32', shape: [1] } }, 4), '"a" has no valid offsets'],
    ['a size that does not fit its shape', fileOf({ a: f32([2], 0, 4) }, 4), '"a" of shape [2] takes 8 bytes'],
    ['a gap', fileOf({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), '"b" starts at byte 8, expected 4'],
    ['an overlap', fileOf({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8), '"b" starts at byte 4, expected 8'],
    ['bytes left over', fileOf({ a: f32([1], 0, 4) }, 9), 'take 4 bytes, 9 are there'],
    [
      'a name twice',
      fileOf(`{"a":${JSON.stringify(f32([1], 0, 4))}, "a" :${JSON.stringify(f32([1], 0, 4))}}`, 4),
      '"a" is listed twice',
    ],
    [
      'an escaped name twice',
      fileOf(`{"a":${JSON.stringify(f32([1], 0, 4))},"\\u0061":${JSON.stringify(f32([1], 0, 4))}}`, 4),
      'twice',
    ],
    ['metadata that are no strings', fileOf({ __metadata__: { step: 1 } }, 0), 'metadata are not strings'],
    ['a null entry', fileOf({ a: null }, 0), '"a" has dtype undefined'],
  ])('refuses %s and says so', (_what, bytes, message) => {
    expect(() => decodeSafetensors(bytes, 'the file')).toThrow(message)
    expect(() => decodeSafetensors(bytes, 'the file')).toThrow(/^the file is not a valid safetensors file/)
  })

  it('refuses to write a shape that does not fit', () => {
    expect(() => encodeSafetensors({ a: { shape: [2, 2], data: new Float32Array(3) } })).toThrow(
      '"a": shape [2,2] does not fit 3 values',
    )
  })

  it('takes only float32 as a checkpoint', () => {
    expect(() => float32Tensors({ tensors: { codes: sample.codes }, metadata: {} }, 'it')).toThrow(
      'it: tensor "codes" is not float32',
    )
  })
})
