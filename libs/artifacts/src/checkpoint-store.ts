/**
 * Checkpoints of one run in the object store.
 *
 *   runs/<runId>/checkpoints/<step>/state-<sha256, 16 digits>.safetensors    the tensors
 *   runs/<runId>/checkpoints/<step>/<role>.manifest.json                     written last: makes it exist
 *
 * The state's name holds its hash, because two writers may meet in one step: a periodic and a best checkpoint, or a worker that
 * lost its lease and the one that took over. Neither can overwrite bytes that a manifest already names, and equal bytes are kept once.
 */
import {
  ArtifactMismatchError,
  type ArtifactRef,
  CHECKPOINT_ROLES,
  type CheckpointRole,
  type CheckpointStore,
  NonFiniteError,
  type StoredCheckpoint,
} from '#libs/training'
import { NonFiniteStateError } from './errors.ts'
import { type ArtifactOwner, artifactKey, getArtifact, type ManifestContent, readManifest } from './manifest.ts'
import type { ObjectStore } from './object-store.ts'
import { decodeSafetensors, float32Tensors } from './safetensors.ts'
import { inlineStateWriter, type StateFile, type StateWriter } from './state-writer.ts'
import { type StoreRetry, untilStored } from './store-retry.ts'

export interface CheckpointStoreOptions {
  /** Periodic checkpoints that stay, newest first; at least 1, default 2: the newest may be the one that is being doubted. */
  readonly keepLast?: number
  /** Told of a collection that failed. The checkpoint is committed all the same, and the next save collects again. */
  readonly onCollectError?: (error: unknown) => void
  /** Who writes; default: the thread that asks. */
  readonly writer?: StateWriter
  /** How a store that is away is waited for in reading; default: not at all. */
  readonly retry?: StoreRetry
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

export interface CollectingCheckpointStore extends CheckpointStore {
  /** Waits until what the last save replaced is gone. */
  collected(): Promise<void>
  /** The states of the newest `best` and the newest `final`, whichever writer they are from: what a run that succeeded consists of. */
  kept(): Promise<ArtifactRef[]>
}

export function createCheckpointStore(
  store: ObjectStore,
  runId: string,
  semantics: number,
  options: CheckpointStoreOptions = {},
): CollectingCheckpointStore {
  const { keepLast = 2, onCollectError = () => undefined, writer = inlineStateWriter(store), retry = { maxTries: 1 } } = options
  if (!Number.isInteger(keepLast) || keepLast < 1) throw new RangeError(`keepLast is ${keepLast}, expected a whole number from 1`)
  return new ObjectCheckpointStore(store, { runId, semantics }, { keepLast, onCollectError, writer, retry })
}

const folderOf = (step: number) => `${FOLDER}/${String(step).padStart(STEP_DIGITS, '0')}`
const manifestFile = (role: CheckpointRole) => `${role}.manifest.json`
const manifestName = (step: number, role: CheckpointRole) => `${folderOf(step)}/${manifestFile(role)}`

class ObjectCheckpointStore implements CollectingCheckpointStore {
  readonly #store: ObjectStore
  readonly #owner: ArtifactOwner
  readonly #options: Required<CheckpointStoreOptions>
  #collecting: Promise<void> = Promise.resolve()

  constructor(store: ObjectStore, owner: ArtifactOwner, options: Required<CheckpointStoreOptions>) {
    this.#store = store
    this.#owner = owner
    this.#options = options
  }

  async save({ step, tensors, meta }: StoredCheckpoint, role: CheckpointRole): Promise<ArtifactRef> {
    await this.#collecting
    const state = await this.#write({
      ...this.#owner,
      folder: folderOf(step),
      tensors,
      metadata: { step: String(step) },
      manifest: { file: manifestFile(role), meta },
      // Periodic ones are replaced in minutes, and a crash has the one before.
      verify: role !== 'periodic',
    })
    // The checkpoint stands; what it replaces goes while the caller goes on.
    this.#collecting = this.#collect().catch(this.#options.onCollectError)
    return state
  }

  collected(): Promise<void> {
    return this.#collecting
  }

  async #write(state: StateFile): Promise<ArtifactRef> {
    try {
      return await this.#options.writer.write(state)
    } catch (error) {
      if (error instanceof NonFiniteStateError) {
        throw new NonFiniteError(`state ${error.tensor}`, Number(state.metadata.step), { cause: error })
      }
      throw error
    }
  }

  latest(): Promise<StoredCheckpoint | undefined> {
    return untilStored(() => this.#latest(), this.#options.retry)
  }

  load(role: 'best' | 'final'): Promise<StoredCheckpoint> {
    return untilStored(() => this.#load(role), this.#options.retry)
  }

  kept(): Promise<ArtifactRef[]> {
    return untilStored(() => this.#kept(), this.#options.retry)
  }

  async #kept(): Promise<ArtifactRef[]> {
    const listed = await this.#list()
    const states = new Map<string, ArtifactRef>()
    for (const role of ['best', 'final'] as const) {
      const newest = this.#newest(listed, role)
      if (!newest) continue
      const { state } = await this.#manifest(newest.step, role)
      states.set(state.name, state)
    }
    return [...states.values()]
  }

  async #latest(): Promise<StoredCheckpoint | undefined> {
    const newest = this.#newest(await this.#list(), 'periodic')
    return newest && this.#read(newest.step, 'periodic')
  }

  async #load(role: 'best' | 'final'): Promise<StoredCheckpoint> {
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
    const kept = CHECKPOINT_ROLES.flatMap((role) =>
      this.#ofRole(listed, role).slice(0, role === 'periodic' ? this.#options.keepLast : 1),
    )
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
