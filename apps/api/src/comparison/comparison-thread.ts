/** One comparison in a thread of its own; the answer is the only message. */
import { parentPort, workerData } from 'node:worker_threads'
import { type ComparisonInput, compare } from './compare.ts'
import type { ThreadAnswer } from './compare-in-thread.ts'

function answer(): ThreadAnswer {
  try {
    return { comparison: compare(workerData as ComparisonInput) }
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string }
    return { failed: { code: typeof code === 'string' ? code : null, message } }
  }
}

parentPort?.postMessage(answer())
