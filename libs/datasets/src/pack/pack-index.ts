/** The index of a pack: its columns, sample keys and slots, as one safetensors file. */
import { createHash } from 'node:crypto'
import { decodeSafetensors, encodeSafetensors, type SafeTensor } from '#libs/artifacts'
import { SPLITS } from '#libs/experiments'
import { ArtifactMismatchError, type PackColumns } from '#libs/training'
import type { ImageRecord } from '../record.ts'
import { DIGEST_BYTES, ImageDigests } from './image-digest.ts'

const KEY_BYTES = 16

export interface PackIndex {
  readonly count: number
  readonly sidePx: number
  readonly labelNames: readonly string[]
  readonly columns: PackColumns
  /** [count, 16] */
  readonly keys: Uint8Array
  /** [count] place of the pixels, see shard-layout.ts. */
  readonly slots: Int32Array
  /** Of each image's pixels. */
  readonly digests: ImageDigests
}

export interface PackIdentity {
  readonly dataset: string
  readonly fingerprint: string
}

const digest = (parts: readonly string[]) => createHash('sha256').update(JSON.stringify(parts)).digest()

/** Dense patient codes in the order of hashes, so that a code tells nothing about the data set's own ids. */
function patientCodes(records: readonly ImageRecord[], { dataset, fingerprint }: PackIdentity): Map<string, number> {
  const hashed = [...new Set(records.map((record) => record.patient))].map(
    (patient) => [digest([dataset, fingerprint, 'patient', patient]).toString('hex'), patient] as const,
  )
  hashed.sort(([a], [b]) => (a < b ? -1 : 1))
  return new Map(hashed.map(([, patient], code) => [patient, code]))
}

/** Index of the records whose pixels stand in `slots` and have `digests`. */
export function buildIndex(
  records: readonly ImageRecord[],
  { slots, digests }: Pick<PackIndex, 'slots' | 'digests'>,
  shape: Pick<PackIndex, 'sidePx' | 'labelNames'>,
  identity: PackIdentity,
): PackIndex {
  const codes = patientCodes(records, identity)
  const bytes = (of: (record: ImageRecord) => number) => Uint8Array.from(records, of)
  const labels = new Uint8Array(records.length * shape.labelNames.length)
  const keys = new Uint8Array(records.length * KEY_BYTES)
  records.forEach((record, row) => {
    labels.set(record.labels, row * shape.labelNames.length)
    keys.set(digest([identity.dataset, identity.fingerprint, record.id]).subarray(0, KEY_BYTES), row * KEY_BYTES)
  })
  const columns: PackColumns = {
    patient: Int32Array.from(records, (record) => codes.get(record.patient)!),
    split: bytes((record) => SPLITS.indexOf(record.split)),
    sex: bytes((record) => record.sex),
    age: Float32Array.from(records, (record) => record.age),
    view: bytes((record) => record.view),
    position: bytes((record) => record.position),
    mortality: bytes((record) => record.mortality),
    icu: bytes((record) => record.icu),
    labels,
  }
  return { ...shape, count: records.length, columns, keys, slots, digests }
}

export function encodeIndex({ count, sidePx, labelNames, columns, keys, slots, digests }: PackIndex): Buffer {
  const { labels, ...flat } = columns
  const tensors: Record<string, SafeTensor> = {
    labels: { shape: [count, labelNames.length], data: labels },
    keys: { shape: [count, KEY_BYTES], data: keys },
    slots: { shape: [count], data: slots },
    digests: { shape: [count, DIGEST_BYTES], data: digests.bytes },
  }
  for (const [name, data] of Object.entries(flat)) tensors[name] = { shape: [count], data }
  return encodeSafetensors(tensors, {
    labels: JSON.stringify(labelNames),
    splits: JSON.stringify(SPLITS),
    sidePx: String(sidePx),
  })
}

/** @throws ArtifactMismatchError where a column is missing, of another type or of another length. */
export function decodeIndex(bytes: Uint8Array, what: string): PackIndex {
  const { tensors, metadata } = decodeSafetensors(bytes, what)
  const labelNames = JSON.parse(metadata.labels ?? '[]') as string[]
  const count = tensors.slots?.shape[0] ?? 0
  const wrong = (problem: string): never => {
    throw new ArtifactMismatchError(`${what}: ${problem}`)
  }
  if (metadata.splits !== JSON.stringify(SPLITS)) wrong('its splits are not those of this version')
  const column = <T>(name: string, type: new (...args: never[]) => T, width = 1): T => {
    const data = tensors[name]?.data
    if (!data || !(data instanceof type) || data.length !== count * width) return wrong(`column "${name}" is not as expected`)
    return data
  }
  const codes = (name: string) => column(name, Uint8Array)
  const columns: PackColumns = {
    patient: column('patient', Int32Array),
    split: codes('split'),
    sex: codes('sex'),
    age: column('age', Float32Array),
    view: codes('view'),
    position: codes('position'),
    mortality: codes('mortality'),
    icu: codes('icu'),
    labels: column('labels', Uint8Array, labelNames.length),
  }
  const sidePx = Number(metadata.sidePx)
  if (!Number.isSafeInteger(sidePx) || sidePx < 1) wrong('its side is not a number of pixels')
  const keys = column('keys', Uint8Array, KEY_BYTES)
  const digests = new ImageDigests(column('digests', Uint8Array, DIGEST_BYTES))
  return { count, sidePx, labelNames, columns, keys, slots: column('slots', Int32Array), digests }
}

/** Hex of an image's key. */
export const keyAt = (keys: Uint8Array, row: number): string =>
  Buffer.from(keys.buffer, keys.byteOffset + row * KEY_BYTES, KEY_BYTES).toString('hex')
