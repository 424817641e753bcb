/** Reading safetensors files (format and source: safetensors-encode.ts): checked throughout, or refused. */
import { ArtifactMismatchError, type NamedTensors } from '#libs/training'
import { ELEMENT_BYTES, elements, SAFETENSORS_DTYPES, type SafeTensor, type SafetensorsDtype } from './safetensors-encode.ts'

/** As in the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000

export interface SafetensorsFile {
  readonly tensors: Readonly<Record<string, SafeTensor>>
  readonly metadata: Readonly<Record<string, string>>
}

interface HeaderEntry {
  readonly name: string
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/**
 * Reads a safetensors file strictly: sizes, offsets without gap or overlap, known dtypes, no name twice, nothing left over.
 * @param what names the file in errors.
 * @throws ArtifactMismatchError that says what is wrong.
 */
export function decodeSafetensors(bytes: Uint8Array, what: string): SafetensorsFile {
  const wrong = (problem: string): never => {
    throw new ArtifactMismatchError(`${what} is not a valid safetensors file: ${problem}`)
  }
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (file.byteLength < 8) wrong('it is shorter than 8 bytes')
  const headerBytes = Number(file.readBigUInt64LE(0))
  if (headerBytes > MAX_HEADER_BYTES) wrong(`its header claims ${headerBytes} bytes`)
  if (8 + headerBytes > file.byteLength) wrong(`it ends within its header (${file.byteLength} bytes, header ${headerBytes})`)
  const text = file.toString('utf8', 8, 8 + headerBytes)
  const header = parseHeader(text, wrong)
  const { __metadata__: metadata = {}, ...rest } = header
  const data = file.subarray(8 + headerBytes)
  const entries = Object.entries(rest).map(([name, value]) => checkEntry(name, value, wrong))
  checkLayout(entries, data.byteLength, wrong)
  const tensors = Object.fromEntries(entries.map((entry) => [entry.name, tensorOf(entry, data)]))
  return { tensors, metadata: checkMetadata(metadata, wrong) }
}

type Wrong = (problem: string) => never

function parseHeader(text: string, wrong: Wrong): Record<string, unknown> {
  if (!text.startsWith('{')) wrong('its header is not a JSON object')
  let header: unknown
  try {
    header = JSON.parse(text)
  } catch {
    wrong('its header is not JSON')
  }
  const twice = duplicateKey(text)
  if (twice !== undefined) wrong(`"${twice}" is listed twice`)
  return header as Record<string, unknown>
}

/** First key of the outer object of a valid JSON text that appears twice; JSON.parse keeps the last in silence. */
function duplicateKey(text: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (depth === 1 && /^\s*:/.test(text.slice(index + token.length, index + token.length + 8))) {
      const key = JSON.parse(token) as string
      if (seen.has(key)) return key
      seen.add(key)
    }
  }
  return undefined
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isWholeList = (value: unknown): value is number[] => Array.isArray(value) && value.every(isWhole)

function checkEntry(name: string, value: unknown, wrong: Wrong): HeaderEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>
  if (!SAFETENSORS_DTYPES.includes(dtype as SafetensorsDtype)) {
    wrong(`tensor "${name}" has dtype ${JSON.stringify(dtype)} (known: ${SAFETENSORS_DTYPES.join(', ')})`)
  }
  if (!isWholeList(shape)) return wrong(`tensor "${name}" has no valid shape`)
  if (!isWholeList(offsets) || offsets.length !== 2) return wrong(`tensor "${name}" has no valid offsets`)
  const [begin, end] = offsets as [number, number]
  const size = elements(shape) * ELEMENT_BYTES[dtype as SafetensorsDtype]
  if (end - begin !== size) wrong(`tensor "${name}" of shape [${shape}] takes ${size} bytes, its offsets give ${end - begin}`)
  return { name, dtype: dtype as SafetensorsDtype, shape, begin, end }
}

function checkLayout(entries: readonly HeaderEntry[], dataBytes: number, wrong: Wrong): void {
  let at = 0
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) wrong(`tensor "${name}" starts at byte ${begin}, expected ${at}`)
    at = end
  }
  if (at !== dataBytes) wrong(`its tensors take ${at} bytes, ${dataBytes} are there`)
}

function checkMetadata(metadata: unknown, wrong: Wrong): Record<string, string> {
  const strings =
    typeof metadata === 'object' && metadata !== null && Object.values(metadata).every((value) => typeof value === 'string')
  return strings ? (metadata as Record<string, string>) : wrong('its metadata are not strings')
}

/** Copies, so that a tensor neither keeps the whole file alive nor depends on its alignment. */
function tensorOf({ dtype, shape, begin, end }: HeaderEntry, data: Buffer): SafeTensor {
  const bytes = new Uint8Array(end - begin)
  bytes.set(data.subarray(begin, end))
  if (dtype === 'U8') return { shape, data: bytes }
  return { shape, data: dtype === 'F32' ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer) }
}

/** All tensors of a file as float32, as checkpoints hold them. @throws ArtifactMismatchError where one has another dtype. */
export function float32Tensors(file: SafetensorsFile, what: string): NamedTensors {
  return Object.fromEntries(
    Object.entries(file.tensors).map(([name, { shape, data }]) => {
      if (!(data instanceof Float32Array)) throw new ArtifactMismatchError(`${what}: tensor "${name}" is not float32`)
      return [name, { shape, data }]
    }),
  )
}
