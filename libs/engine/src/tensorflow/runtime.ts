/** TensorFlow's native library, through the N-API binding of @tensorflow/tfjs-node-gpu. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { EngineLoadError } from '../errors.ts'

/** The part of the binding (tfjs_binding.d.ts of the package) that sessions use. All calls are synchronous. */
export interface Binding {
  readonly TF_Version: string
  readonly TF_FLOAT: number
  createTensor(shape: readonly number[], type: number, data: Float32Array): number
  deleteTensor(tensor: number): void
  /** A copy. */
  tensorDataSync(tensor: number): Float32Array
  loadSavedModel(folder: string, tags: string): number
  deleteSavedModel(model: number): void
  /** Names are joined by commas. */
  runSavedModel(model: number, inputs: readonly number[], inputNames: string, outputNames: string): { readonly id: number }[]
  getNumOfTensors(): number
  isUsingGpuDevice(): boolean
}

const PACKAGE = new URL('../../../../engines/tensorflow/node_modules/@tensorflow/tfjs-node-gpu/', import.meta.url)
const BUILT = new URL('deps/built.json', PACKAGE)

export interface TensorflowBuild {
  readonly flavour: 'cpu' | 'gpu'
  readonly tensorflow: string
}

/** What `npm run engine:tensorflow` built, or null. */
export function tensorflowBuild(): TensorflowBuild | null {
  return existsSync(BUILT) ? (JSON.parse(readFileSync(BUILT, 'utf8')) as TensorflowBuild) : null
}

export const NOT_BUILT = 'TensorFlow is not built here; npm run engine:tensorflow builds it'

let loaded: { readonly binding: Binding; readonly threads: number } | undefined

/**
 * TensorFlow takes the settings of its sessions from the environment alone, when it is loaded: one number of threads holds for
 * the whole process. Operations run one after the other (a step's order is then the same each time), each on all threads.
 */
function setEnvironment(threads: number): void {
  Object.assign(process.env, {
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: '1',
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '3',
    // Take of a card's memory what is needed, as it is needed.
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    // Float32 means float32: cards of 2020 and later would round the factors of a product to 10 bits.
    NVIDIA_TF32_OVERRIDE: '0',
  })
}

/** Loads the library once. Throws EngineLoadError where it is not built, does not load, or was loaded with other threads. */
export function loadBinding(threads: number): Binding {
  if (loaded !== undefined) {
    if (loaded.threads === threads) return loaded.binding
    throw new EngineLoadError(`TensorFlow runs with ${loaded.threads} threads in this process and cannot change to ${threads}`)
  }
  if (tensorflowBuild() === null) throw new EngineLoadError(NOT_BUILT)
  setEnvironment(threads)
  let binding: Binding
  try {
    // The package's own entry would bring a second copy of tfjs; the binding is all that a graph needs.
    binding = createRequire(import.meta.url)(fileURLToPath(new URL('lib/napi-v8/tfjs_binding.node', PACKAGE))) as Binding
  } catch (error) {
    throw new EngineLoadError('TensorFlow could not be loaded; npm run engine:tensorflow builds it anew', { cause: error })
  }
  loaded = { binding, threads }
  return binding
}
