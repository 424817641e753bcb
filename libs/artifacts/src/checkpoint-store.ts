/**
 * Checkpoints of one run in the object store.
 *
 *   runs/<runId>/checkpoints/<step>/state-<sha256, 16 digits>.safetensors    the tensors
 *   runs/<runId>/checkpoints/<step>/<role>.manifest.json                     written last: makes it exist
 *
 * The state's name holds its hash, because two writers may meet in one step: a periodic and a best checkpoint, or a worker that
 * lost its lease and the one that took over. Neither can overwrite bytes that a manifest already names, and equal bytes are kept once.
 */
import { createHash } from 'node:crypto'
import { ArtifactMismatchError, type ArtifactRef, type CheckpointStore, type StoredCheckpoint } from '#libs/training'
import {
  type ArtifactOwner,
  artifactKey,
  getArtifact,
  type ManifestContent,
  putArtifact,
  readManifest,
  writeManifest,
} from './manifest.ts'
import type { ObjectStore } from './object-store.ts'
import { decodeSafetensors, encodeSafetensors, float32Tensors } from './safetensors.ts'

export const CHECKPOINT_ROLES = ['periodic', 'best', 'final'] as const
export type CheckpointRole = (typeof CHECKPOINT_ROLES)[number]

export interface CheckpointStoreOptions {
  /** Periodic checkpoints that stay, newest first; at least 1, default 2: the newest may be the one that is being doubted. */
  readonly keepLast?: number
  /** Told of a collection that failed. The checkpoint is committed all the same, and the next save collects again. */
  readonly onCollectError?: (error: unknown) => void
}

const FOLDER = 'checkpoints'
const STEP_DIGITS = 8
const MANIFEST = /^(\d+)\/(periodic|best|final)\.manifest\.json$/
const STATE = /^(\d+)\/state-[0-9a-f]{16}\.safetensors$/

interface Listed {
  readonly step: number
  readonly name: string
  /** Null for a state file. */
  readonly role: CheckpointRole | null
}

export function createCheckpointStore(
  store: ObjectStore,
  runId: string,
  semantics: number,
  options: CheckpointStoreOptions = {},
): CheckpointStore {
  const keepLast = options.keepLast ?? 2
  if (!Number.isInteger(keepLast) || keepLast < 1) throw new RangeError(`keepLast is ${keepLast}, expected a whole number from 1`)
  return new ObjectCheckpointStore(store, { runId, semantics }, keepLast, options.onCollectError ?? (() => undefined))
}

const folderOf = (step: number) => `${FOLDER}/${String(step).padStart(STEP_DIGITS, '0')}`
const manifestName = (step: number, role: CheckpointRole) => `${folderOf(step)}/${role}.manifest.json`

class ObjectCheckpointStore implements CheckpointStore {
  readonly #store: ObjectStore
  readonly #owner: ArtifactOwner
  readonly #keepLast: number
  readonly #onCollectError: (error: unknown) => void

  constructor(store: ObjectStore, owner: ArtifactOwner, keepLast: number, onCollectError: (error: unknown) => void) {
    this.#store = store
    this.#owner = owner
    this.#keepLast = keepLast
    this.#onCollectError = onCollectError
  }

  async save(checkpoint: StoredCheckpoint, role: CheckpointRole): Promise<ArtifactRef> {
    const { step, tensors, meta } = checkpoint
    const { runId, semantics } = this.#owner
    const bytes = encodeSafetensors(tensors, { step: String(step) })
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const state = await putArtifact(this.#store, runId, `${folderOf(step)}/state-${sha256.slice(0, 16)}.safetensors`, bytes)
    await writeManifest(this.#store, manifestName(step, role), { runId, semantics, files: [state], meta })
    await this.#collect().catch(this.#onCollectError)
    return state
  }

  async latest(): Promise<StoredCheckpoint | undefined> {
    const newest = this.#newest(await this.#list(), 'periodic')
    return newest && this.#read(newest.step, 'periodic')
  }

  async load(role: 'best' | 'final'): Promise<StoredCheckpoint> {
    const newest = this.#newest(await this.#list(), role)
    if (!newest) throw new ArtifactMismatchError(`run ${this.#owner.runId} has no ${role} checkpoint`)
    return this.#read(newest.step, role)
  }

  async #read(step: number, role: CheckpointRole): Promise<StoredCheckpoint> {
    const { state, meta } = await this.#manifest(step, role)
    const what = `checkpoint "${artifactKey(this.#owner.runId, state.name)}"`
    const file = decodeSafetensors(await getArtifact(this.#store, this.#owner.runId, state), what)
    if (file.metadata.step !== String(step)) throw new ArtifactMismatchError(`${what} holds step ${file.metadata.step}`)
    return { step, meta, tensors: float32Tensors(file, what) }
  }

  async #manifest(step: number, role: CheckpointRole): Promise<{ state: ArtifactRef; meta: ManifestContent['meta'] }> {
    const name = manifestName(step, role)
    const content = await readManifest(this.#store, name, this.#owner)
    const [state] = content?.files ?? []
    if (!content || !state) throw new ArtifactMismatchError(`manifest "${artifactKey(this.#owner.runId, name)}" names no state`)
    return { state, meta: content.meta }
  }

  async #list(): Promise<Listed[]> {
    const prefix = artifactKey(this.#owner.runId, `${FOLDER}/`)
    const listed: Listed[] = []
    for await (const { key } of this.#store.list(prefix)) {
      const rest = key.slice(prefix.length)
      const [, step, role = null] = MANIFEST.exec(rest) ?? STATE.exec(rest) ?? []
      if (step) listed.push({ step: Number(step), name: `${FOLDER}/${rest}`, role: role as CheckpointRole | null })
    }
    return listed
  }

  #newest(listed: readonly Listed[], role: CheckpointRole): Listed | undefined {
    return this.#ofRole(listed, role)[0]
  }

  #ofRole(listed: readonly Listed[], role: CheckpointRole): Listed[] {
    return listed.filter((entry) => entry.role === role).sort((a, b) => b.step - a.step)
  }

  /** Deletes what is not kept, manifests before the states they name, so a manifest without its state is never left behind. */
  async #collect(): Promise<void> {
    const listed = await this.#list()
    const kept = CHECKPOINT_ROLES.flatMap((role) => this.#ofRole(listed, role).slice(0, role === 'periodic' ? this.#keepLast : 1))
    const states = new Set<string>()
    for (const { step, role } of kept) states.add((await this.#manifest(step, role!)).state.name)
    for (const entry of listed) if (entry.role !== null && !kept.includes(entry)) await this.#delete(entry)
    // A state without a manifest in the newest or a later step may be another worker's, on its way.
    const newestStep = Math.max(...kept.map((entry) => entry.step))
    const droppable = listed.filter((entry) => entry.role === null && entry.step < newestStep && !states.has(entry.name))
    for (const entry of droppable) await this.#delete(entry)
  }

  #delete({ name }: Listed): Promise<void> {
    return this.#store.delete(artifactKey(this.#owner.runId, name))
  }
}

/** Removes everything a run has stored, manifests first, so that no reader finds half of it. Returns how many objects went. */
export async function deleteRunArtifacts(store: ObjectStore, runId: string): Promise<number> {
  const keys: string[] = []
  for await (const { key } of store.list(artifactKey(runId, ''))) keys.push(key)
  const isManifest = (key: string) => key.endsWith('manifest.json')
  for (const key of [...keys.filter(isManifest), ...keys.filter((name) => !isManifest(name))]) await store.delete(key)
  return keys.length
}
