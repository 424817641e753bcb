import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { StateArrays, Step } from '#libs/msn'
import { EngineLoadError, EngineRunError, SessionUseError } from '../errors.ts'
import type { Executor, ExecutorOptions, Session } from '../executor.ts'
import { optimise } from '../passes/optimise.ts'
import { ProgramCache } from '../program-cache.ts'
import { checkFeeds, checkState, checkWholeState, stateNames } from '../session-arrays.ts'
import { inputName, outputName, type TracedStep, traceStep } from '../trace/trace-step.ts'
import { lowerToOnnx, type OnnxModel } from './lower.ts'
import { loadRuntime, openSession, type Runtime, sessionOptions } from './runtime.ts'

/** A step traced, optimised and written as an ONNX model. */
export interface CompiledStep {
  readonly traced: TracedStep
  readonly model: OnnxModel
}

/** Traces `step` and writes it as an ONNX model. Throws what tracing throws. */
export function compileStep(step: Step): CompiledStep {
  const traced = traceStep(step)
  const program = optimise(traced.program)
  return { traced: { ...traced, program }, model: lowerToOnnx(program, step.name) }
}

/** Two preallocated copies of a state entry that the step replaces: one is read while the other is written. */
interface DoubleBuffer {
  current: Tensor
  spare: Tensor
}

class OnnxSession implements Session {
  private readonly runtime: Runtime
  private readonly step: Step
  private readonly compiled: CompiledStep
  private native: InferenceSession | null
  private readonly updated = new Map<string, DoubleBuffer>()
  /** Entries that the step does not replace. */
  private readonly constants = new Map<string, Tensor>()
  private readonly scalars = new Map<string, Tensor>()
  private readonly fed: ReadonlySet<string>
  private running = false

  constructor(runtime: Runtime, step: Step, compiled: CompiledStep, native: InferenceSession, state: Readonly<StateArrays>) {
    this.runtime = runtime
    this.step = step
    this.compiled = compiled
    this.native = native
    this.fed = new Set(compiled.model.inputs)
    const updated = new Set(compiled.traced.updated)
    for (const name of Object.keys(step.signature.state)) {
      const current = this.stateTensor(name, state[name]!.slice())
      if (updated.has(name)) this.updated.set(name, { current, spare: this.stateTensor(name, new Float32Array(current.size)) })
      else this.constants.set(name, current)
    }
    for (const name of step.signature.scalars) this.scalars.set(name, new runtime.Tensor('float32', new Float32Array(1), []))
  }

  async run(
    batch: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
  ): Promise<Record<string, Float32Array>> {
    const native = this.usable()
    checkFeeds(this.step.signature, batch, scalars)
    const feeds = this.feeds(batch, scalars)
    this.running = true
    try {
      const results = await native.run(feeds, this.fetches())
      for (const buffer of this.updated.values()) [buffer.current, buffer.spare] = [buffer.spare, buffer.current]
      return Object.fromEntries(
        this.compiled.traced.outputs.map((name) => [name, results[outputName.output(name)]!.data as Float32Array]),
      )
    } catch (error) {
      // The buffers were not swapped: the state is still that of the step before.
      throw new EngineRunError(this.step.name, { cause: error })
    } finally {
      this.running = false
    }
  }

  readState(names?: readonly string[]): StateArrays {
    this.usable()
    return Object.fromEntries(stateNames(this.step.signature, names).map((name) => [name, this.array(name).slice()]))
  }

  writeState(state: Readonly<StateArrays>): void {
    this.usable()
    checkState(this.step.signature, state)
    for (const [name, array] of Object.entries(state)) this.array(name).set(array)
  }

  async dispose(): Promise<void> {
    if (this.native === null) return
    const native = this.usable()
    this.native = null
    this.updated.clear()
    this.constants.clear()
    await native.release()
  }

  private feeds(
    batch: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
  ): Record<string, Tensor> {
    const feeds: Record<string, Tensor> = {}
    const feed = (name: string, tensor: Tensor): void => {
      if (this.fed.has(name)) feeds[name] = tensor
    }
    for (const [name, { current }] of this.updated) feed(inputName.state(name), current)
    for (const [name, tensor] of this.constants) feed(inputName.state(name), tensor)
    for (const [name, shape] of Object.entries(this.step.signature.batch)) {
      feed(inputName.batch(name), new this.runtime.Tensor('float32', batch[name]!, shape))
    }
    for (const [name, tensor] of this.scalars) {
      ;(tensor.data as Float32Array)[0] = scalars[name]!
      feed(inputName.scalar(name), tensor)
    }
    return feeds
  }

  /** State goes into the spare buffers; the few outputs get new arrays, which the caller may keep. */
  private fetches(): Record<string, Tensor | null> {
    const fetches: Record<string, Tensor | null> = {}
    for (const [name, { spare }] of this.updated) fetches[outputName.state(name)] = spare
    for (const name of this.compiled.traced.outputs) fetches[outputName.output(name)] = null
    return fetches
  }

  private stateTensor(name: string, array: Float32Array): Tensor {
    return new this.runtime.Tensor('float32', array, this.step.signature.state[name]!)
  }

  private array(name: string): Float32Array {
    const tensor = this.updated.get(name)?.current ?? this.constants.get(name)
    return tensor!.data as Float32Array
  }

  private usable(): InferenceSession {
    if (this.native === null) throw new SessionUseError(`the session of step ${this.step.name} was disposed`)
    if (this.running) throw new SessionUseError(`the session of step ${this.step.name} is running a step`)
    return this.native
  }
}

/**
 * Executor on ONNX Runtime. A step is traced once at `load`; what ONNX Runtime makes of the program is taken from the cache where
 * it is there. The key is the program itself, so that nothing can be cached that tracing would not give.
 */
export function createOnnxExecutor(options: ExecutorOptions): Executor {
  const cache = options.programCacheFolder ? new ProgramCache(options.programCacheFolder) : undefined
  return {
    name: 'onnx',
    async load(step, state) {
      checkWholeState(step.signature, state)
      const compiled = compileStep(step)
      const runtime = await loadRuntime()
      try {
        const native = await openSession(runtime, compiled.model.bytes, sessionOptions(options.threads), cache)
        return new OnnxSession(runtime, step, compiled, native, state)
      } catch (error) {
        throw new EngineLoadError(`ONNX Runtime refused the compiled step ${step.name}`, { cause: error })
      }
    },
  }
}
