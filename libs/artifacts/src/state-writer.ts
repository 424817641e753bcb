/**
 * Writes one checkpoint: its tensors under a name that holds their hash, then the manifest that makes it exist. Runs in the
 * thread that trains or in one of its own, and loads nothing that such a thread would not need.
 */
import { createHash } from 'node:crypto'
import { artifactKey, encodeManifest } from './encode-manifest.ts'
import { NonFiniteStateError } from './errors.ts'
import type { ObjectStore, StoredObject } from './object-store.ts'
import { type SafeTensor, type SafetensorsPieces, safetensorsPieces } from './safetensors-encode.ts'
import { verifyObject } from './verify-object.ts'

export interface StateFile {
  readonly runId: string
  readonly semantics: number
  /** Within the run; for both files. */
  readonly folder: string
  readonly tensors: Readonly<Record<string, SafeTensor>>
  /** Of the tensors' file. */
  readonly metadata: Readonly<Record<string, string>>
  /** File name in the folder, and what it says beside the tensors' file. */
  readonly manifest: { readonly file: string; readonly meta: Readonly<Record<string, string>> }
  /** Read the tensors back and compare: what ends a run must be known to lie in the store. */
  readonly verify: boolean
}

export interface WrittenState extends StoredObject {
  /** Within the run. */
  readonly name: string
}

export interface StateWriter {
  /** Takes the tensors over: their arrays may be gone afterwards. One at a time. */
  write(state: StateFile): Promise<WrittenState>
  close(): Promise<void>
}

/** In the thread that asks. */
export const inlineStateWriter = (store: ObjectStore): StateWriter => ({
  write: (state) => writeState(store, state),
  close: async () => undefined,
})

/**
 * Safe to repeat: the same tensors are the same file.
 * @throws StoreAccessError where the store fails, or gives back other bytes than it was given
 * @throws NonFiniteStateError before anything is written
 */
export async function writeState(store: ObjectStore, state: StateFile): Promise<WrittenState> {
  const { runId, semantics, folder, tensors, metadata, manifest, verify } = state
  for (const [name, { data }] of Object.entries(tensors)) if (!allFinite(data)) throw new NonFiniteStateError(name)
  const pieces = safetensorsPieces(tensors, metadata)
  const name = `${folder}/state-${hashOf(pieces).slice(0, 16)}.safetensors`
  const key = artifactKey(runId, name)
  const written = { name, ...(await store.put(key, inTurn(pieces))) }
  if (verify) await verifyObject(store, key, written)
  const content = { runId, semantics, files: [written], meta: { ...manifest.meta } }
  await store.put(artifactKey(runId, `${folder}/${manifest.file}`), encodeManifest(content))
  return written
}

function allFinite(data: SafeTensor['data']): boolean {
  if (!(data instanceof Float32Array)) return true
  // 0 x value is 0 for every finite value and NaN for the others: a sum needs no branch a value.
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += 0 * data[i]!
  return sum === 0
}

function hashOf(pieces: SafetensorsPieces): string {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

async function* inTurn(pieces: Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  yield* pieces
}
