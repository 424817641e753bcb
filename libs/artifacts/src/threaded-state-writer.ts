/** Checkpoint states written by a thread of their own, so that the thread that trains neither hashes nor waits for the disk. */
import { Worker } from 'node:worker_threads'
import { NonFiniteStateError, StoreAccessError } from './errors.ts'
import type { OpenStoreOptions } from './open-store.ts'
import type { StateFile, StateWriter, WrittenState } from './state-writer.ts'
import type { StoreRetry } from './store-retry.ts'

export interface StateThreadData {
  readonly url: string
  readonly options: OpenStoreOptions
  readonly retry: Pick<StoreRetry, 'firstMs' | 'maxMs'>
}
export type ToStateThread = StateFile
export type FromStateThread =
  | { readonly type: 'written'; readonly state: WrittenState }
  | { readonly type: 'waiting'; readonly message: string; readonly tries: number }
  /** `nonFinite`: the tensor that is to blame, where one is. */
  | { readonly type: 'failed'; readonly message: string; readonly nonFinite: string | null }

interface Pending {
  resolve(state: WrittenState): void
  reject(error: Error): void
}

/**
 * The store is opened again by the thread, from its address. The thread starts at once, beside the rest of the caller's start, and keeps no
 * process alive.
 * @param retry how the thread waits for a store that is away; it never gives up by itself.
 */
export function threadedStateWriter(url: string, options: OpenStoreOptions = {}, retry: StoreRetry = {}): StateWriter {
  return new ThreadedStateWriter({ url, options, retry: { firstMs: retry.firstMs, maxMs: retry.maxMs } }, retry.onRetry)
}

class ThreadedStateWriter implements StateWriter {
  readonly #data: StateThreadData
  readonly #onRetry: StoreRetry['onRetry']
  #thread: Worker | null
  #pending: Pending | null = null

  constructor(data: StateThreadData, onRetry: StoreRetry['onRetry']) {
    this.#data = data
    this.#onRetry = onRetry
    this.#thread = this.#start()
    this.#thread.unref()
  }

  write(state: StateFile): Promise<WrittenState> {
    if (this.#pending) throw new Error('a checkpoint is being written; one at a time')
    this.#thread ??= this.#start()
    const thread = this.#thread
    thread.ref()
    return new Promise<WrittenState>((resolve, reject) => {
      this.#pending = { resolve, reject }
      thread.postMessage(state, buffersOf(state))
    })
  }

  async close(): Promise<void> {
    await this.#thread?.terminate()
    this.#thread = null
  }

  #start(): Worker {
    const thread = new Worker(new URL('./state-thread.mjs', import.meta.url), { workerData: this.#data, execArgv: [] })
    thread.on('message', (message: FromStateThread) => this.#hear(message))
    thread.on('error', (error) => this.#settle((pending) => pending.reject(error)))
    thread.on('exit', () => {
      this.#thread = null
      this.#settle((pending) => pending.reject(new Error('the thread that writes checkpoints ended')))
    })
    return thread
  }

  #hear(message: FromStateThread): void {
    switch (message.type) {
      case 'waiting':
        this.#onRetry?.(new StoreAccessError(message.message), message.tries)
        break
      case 'written':
        this.#settle((pending) => pending.resolve(message.state))
        break
      case 'failed':
        this.#settle((pending) => pending.reject(errorOf(message)))
        break
    }
  }

  #settle(how: (pending: Pending) => void): void {
    const pending = this.#pending
    this.#pending = null
    this.#thread?.unref()
    if (pending) how(pending)
  }
}

function errorOf({ message, nonFinite }: Extract<FromStateThread, { type: 'failed' }>): Error {
  return nonFinite === null ? new Error(message) : new NonFiniteStateError(nonFinite)
}

/** Each buffer once: several tensors may be views of one. */
function buffersOf({ tensors }: StateFile): ArrayBuffer[] {
  return [...new Set(Object.values(tensors).map(({ data }) => data.buffer as ArrayBuffer))]
}
