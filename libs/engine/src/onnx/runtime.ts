import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { EngineLoadError } from '../errors.ts'
import { type ProgramCache, programKey } from '../program-cache.ts'

export type Runtime = typeof import('onnxruntime-node')

/** Loads ONNX Runtime's native library, only when a session is wanted: the eager engine works without it. */
export async function loadRuntime(): Promise<Runtime> {
  try {
    return await import('onnxruntime-node')
  } catch (error) {
    throw new EngineLoadError('ONNX Runtime (the npm package onnxruntime-node) could not be loaded', { cause: error })
  }
}

/** Whether `npm run engine:onnx-cuda` has added the CUDA provider and an NVIDIA driver is loaded. */
function hasCuda(): boolean {
  const home = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const provider = join(home, 'bin/napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so')
  return existsSync(provider) && existsSync('/proc/driver/nvidia/version')
}

/**
 * Options under which a step runs the same way each time: one operation after the other on a fixed number of threads.
 * Severity 4 (fatal) keeps ONNX Runtime from writing to stderr: its warnings concern its own rewriting, and what it calls an
 * error is thrown as well.
 * Threads that have nothing to do sleep instead of spinning: on two cores that other processes want too (the lab's own database,
 * a second worker), spinning made an MSN step take 1.9 times as long;
 * on a quiet machine sleeping costs under 2 % (medians 947 and 932 ms over nine interleaved rounds).
 * Without a memory pattern the arena serves each array by itself: a pattern is laid out from the second step on beside what the
 * first has left, and took the peak of a ViT-Tiny MSN step of 16 images from 2.1 to 3.7 GiB for no measurable time.
 * ONNX Runtime's ReshapeFusion would take a barrier (a reshape with a computed shape) for one of a chain of reshapes and drop it,
 * or fail over it; the program's own passes have joined such chains already.
 */
export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: hasCuda() ? ['cuda', 'cpu'] : ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    enableMemPattern: false,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: '0' } }, optimization: { disable_specified_optimizers: 'ReshapeFusion' } },
  }
}

/**
 * A session of `model`. With a cache, the model as ONNX Runtime has optimised it is kept: what it depends on beside the model is
 * ONNX Runtime's version, its options and the processor.
 */
export async function openSession(
  runtime: Runtime,
  model: Uint8Array,
  options: InferenceSession.SessionOptions,
  cache: ProgramCache | undefined,
): Promise<InferenceSession> {
  const { create } = runtime.InferenceSession
  if (cache === undefined) return create(model, options)
  const key = programKey([model, runtime.env.versions.node ?? '', JSON.stringify(options), cpus()[0]?.model ?? '', process.arch])
  const optimised = cache.read(key)
  if (optimised !== undefined) {
    try {
      return await create(optimised, { ...options, graphOptimizationLevel: 'disabled' })
    } catch {
      // Whole, and still not to ONNX Runtime's taste: made anew below.
    }
  }
  return cache.fill(key, (file) => create(model, file === undefined ? options : { ...options, optimizedModelFilePath: file }))
}
