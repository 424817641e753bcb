/** Checkpoints on their way to the store while training goes on: never two at once, in the order in which they were taken. */
import type { CheckpointRole, CheckpointStore, StoredCheckpoint } from './ports.ts'

export interface TakenCheckpoint {
  readonly checkpoint: StoredCheckpoint
  readonly role: CheckpointRole
}

export class CheckpointWriter {
  readonly #store: CheckpointStore
  #writing: Promise<void> | null = null
  #failure: { readonly error: unknown } | null = null

  constructor(store: CheckpointStore) {
    this.#store = store
  }

  /** While true, nothing new may be taken: at most one copy of the state waits for the store, however long that is away. */
  get isBusy(): boolean {
    return this.#writing !== null
  }

  /** Begins to write, in this order, and returns. The arrays belong to the store from now on. */
  begin(taken: readonly TakenCheckpoint[]): void {
    if (this.#writing) throw new Error('checkpoints are being written already')
    this.#writing = this.#write(taken)
  }

  /** @throws what a write failed with */
  check(): void {
    if (this.#failure) throw this.#failure.error
  }

  /** Waits for what is on its way. @throws what a write failed with */
  async settled(): Promise<void> {
    await this.#writing
    this.check()
  }

  async #write(taken: readonly TakenCheckpoint[]): Promise<void> {
    try {
      for (const { checkpoint, role } of taken) await this.#store.save(checkpoint, role)
    } catch (error) {
      this.#failure = { error }
    } finally {
      this.#writing = null
    }
  }
}
