import { createEagerExecutor } from './eager/eager-executor.ts'
import { EngineLoadError, UnsupportedOptionError } from './errors.ts'
import type { EngineName, Executor, ExecutorOptions } from './executor.ts'
import { createOnnxExecutor } from './onnx/onnx-executor.ts'
import { NOT_BUILT, type TensorflowBuild, tensorflowBuild } from './tensorflow/runtime.ts'
import { createTensorflowExecutor } from './tensorflow/tensorflow-executor.ts'

export interface EngineChoice {
  readonly engine: EngineName
  /** Why, for the log. */
  readonly reason: string
}

/** Which engine a worker's ENGINE setting means on this machine. Throws EngineLoadError where that engine does not stand. */
export function resolveEngine(wanted: EngineName | 'auto', build: TensorflowBuild | null = tensorflowBuild()): EngineChoice {
  if (wanted === 'tensorflow' && build === null) throw new EngineLoadError(`ENGINE=tensorflow: ${NOT_BUILT}`)
  if (wanted !== 'auto') return { engine: wanted, reason: 'asked for by ENGINE' }
  if (build === null) return { engine: 'onnx', reason: `auto: ${NOT_BUILT}, and ONNX Runtime computes without` }
  return { engine: 'tensorflow', reason: `auto: TensorFlow ${build.tensorflow} (${build.flavour}) is built here` }
}

/** Throws RangeError unless `threads` is a positive integer, UnsupportedOptionError for what the engine cannot do. */
export function createExecutor(name: EngineName, options: ExecutorOptions): Executor {
  if (!Number.isInteger(options.threads) || options.threads < 1)
    throw new RangeError(`threads must be a positive integer, not ${options.threads}`)
  if (name === 'tensorflow') return createTensorflowExecutor(options)
  if (options.precision === 'bfloat16') throw new UnsupportedOptionError('precision', 'bfloat16', name)
  if (options.xla === 'on') throw new UnsupportedOptionError('xla', 'on', name)
  return name === 'onnx' ? createOnnxExecutor(options) : createEagerExecutor()
}
