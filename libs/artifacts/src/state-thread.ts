/** The thread that writes checkpoints: hashes and stores one file at a time, and waits for the store where it is away. */
import { parentPort, workerData } from 'node:worker_threads'
import { NonFiniteStateError } from './errors.ts'
import type { ObjectStore } from './object-store.ts'
import { openObjectStore } from './open-store.ts'
import { writeState } from './state-writer.ts'
import { untilStored } from './store-retry.ts'
import type { FromStateThread, StateThreadData, ToStateThread } from './threaded-state-writer.ts'

const { url, options, retry } = workerData as StateThreadData
const port = parentPort
if (!port) throw new Error('the checkpoint thread was started as a process')
const say = (message: FromStateThread) => port.postMessage(message)

let store: ObjectStore | undefined

port.on('message', async (state: ToStateThread) => {
  try {
    const waiting = {
      ...retry,
      onRetry: (error: Error, tries: number) => say({ type: 'waiting', message: error.message, tries }),
    }
    const opened = store ?? (await untilStored(() => openObjectStore(url, options), waiting))
    store = opened
    say({ type: 'written', state: await untilStored(() => writeState(opened, state), waiting) })
  } catch (error) {
    const tensor = error instanceof NonFiniteStateError ? error.tensor : null
    say({ type: 'failed', message: error instanceof Error ? error.message : String(error), nonFinite: tensor })
  }
})
