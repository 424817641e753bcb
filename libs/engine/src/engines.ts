import { createEagerExecutor } from './eager/eager-executor.ts'
import type { EngineName, Executor, ExecutorOptions } from './executor.ts'
import { createOnnxExecutor } from './onnx/onnx-executor.ts'

export interface EngineChoice {
  readonly engine: EngineName
  /** Why, for the log. */
  readonly reason: string
}

/** Which engine a worker's ENGINE setting means on this machine. */
export function resolveEngine(wanted: EngineName | 'auto'): EngineChoice {
  if (wanted !== 'auto') return { engine: wanted, reason: 'asked for by ENGINE' }
  return { engine: 'onnx', reason: 'auto: the compiled engine on ONNX Runtime; eager is the slow reference' }
}

/** Throws RangeError unless `threads` is a positive integer. */
export function createExecutor(name: EngineName, options: ExecutorOptions): Executor {
  if (!Number.isInteger(options.threads) || options.threads < 1)
    throw new RangeError(`threads must be a positive integer, not ${options.threads}`)
  switch (name) {
    case 'eager':
      return createEagerExecutor()
    case 'onnx':
      return createOnnxExecutor(options)
  }
}
