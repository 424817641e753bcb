import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { StateArrays, Step } from '#libs/msn'
import { EngineLoadError, EngineRunError, SessionUseError } from '../errors.ts'
import type { Executor, ExecutorOptions, Session } from '../executor.ts'
import { optimise } from '../passes/optimise.ts'
import { checkFeeds, checkState, checkWholeState, stateNames } from '../session-arrays.ts'
import { traceStep } from '../trace/trace-step.ts'
import { lowerToTensorflow, type TensorflowModel } from './lower.ts'
import { type Binding, loadBinding } from './runtime.ts'

/** An array for one node of the graph. */
interface Feed {
  readonly node: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** A loaded graph with its state in resource variables. One step is one call of the library. */
class TensorflowSession implements Session {
  private readonly binding: Binding
  private readonly step: Step
  private readonly model: TensorflowModel
  private readonly handle: number
  private use: 'idle' | 'running' | 'disposed' = 'idle'

  constructor(binding: Binding, step: Step, model: TensorflowModel, handle: number, state: Readonly<StateArrays>) {
    this.binding = binding
    this.step = step
    this.model = model
    this.handle = handle
    this.write(Object.fromEntries(Object.keys(step.signature.state).map((name) => [name, state[name]!])))
  }

  async run(
    batch: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
  ): Promise<Record<string, Float32Array>> {
    this.assertUsable()
    const { signature, name } = this.step
    checkFeeds(signature, batch, scalars)
    this.use = 'running'
    try {
      // The call holds this thread until the step is done: what waits in the event loop gets its turn first.
      await setImmediate()
      const feeds = [
        ...Object.entries(signature.batch).map(([key, shape]) => ({ node: this.model.batch[key]!, shape, data: batch[key]! })),
        ...signature.scalars.map((key) => ({ node: this.model.scalars[key]!, shape: [], data: Float32Array.of(scalars[key]!) })),
      ]
      const outputs = Object.entries(this.model.outputs)
      if (outputs.length === 0) this.call(feeds, [this.model.done])
      const arrays =
        outputs.length === 0
          ? []
          : this.call(
              feeds,
              outputs.map(([, node]) => node),
            )
      return Object.fromEntries(outputs.map(([key], i) => [key, arrays[i]!]))
    } catch (error) {
      throw new EngineRunError(name, { cause: error })
    } finally {
      this.use = 'idle'
    }
  }

  readState(names?: readonly string[]): StateArrays {
    this.assertUsable()
    const wanted = stateNames(this.step.signature, names)
    const arrays = this.call(
      [],
      wanted.map((name) => this.model.state[name]!.read),
    )
    return Object.fromEntries(wanted.map((name, i) => [name, arrays[i]!]))
  }

  writeState(state: Readonly<StateArrays>): void {
    this.assertUsable()
    checkState(this.step.signature, state)
    this.write(state)
  }

  async dispose(): Promise<void> {
    if (this.use === 'disposed') return
    this.assertUsable()
    this.use = 'disposed'
    this.binding.deleteSavedModel(this.handle)
  }

  private write(state: Readonly<StateArrays>): void {
    const entries = Object.entries(state)
    const feeds = entries.map(([name, data]) => ({
      node: this.model.state[name]!.feed,
      shape: this.step.signature.state[name]!,
      data,
    }))
    this.call(
      feeds,
      entries.map(([name]) => this.model.state[name]!.write),
    )
  }

  /** Runs the graph up to `fetches`; copies of their values. */
  private call(feeds: readonly Feed[], fetches: readonly string[]): Float32Array[] {
    if (fetches.length === 0) return []
    const { binding } = this
    const given: number[] = []
    try {
      for (const { shape, data } of feeds) given.push(binding.createTensor(shape, binding.TF_FLOAT, data))
      const results = binding.runSavedModel(this.handle, given, feeds.map(({ node }) => node).join(), fetches.join())
      try {
        return results.map(({ id }) => binding.tensorDataSync(id))
      } finally {
        for (const { id } of results) binding.deleteTensor(id)
      }
    } finally {
      for (const tensor of given) binding.deleteTensor(tensor)
    }
  }

  private assertUsable(): void {
    if (this.use === 'disposed') throw new SessionUseError(`the session of step ${this.step.name} was disposed`)
    if (this.use === 'running') throw new SessionUseError(`the session of step ${this.step.name} is running a step`)
  }
}

/** TensorFlow loads graphs from folders only. */
function loadModel(binding: Binding, bytes: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlab-step-'))
  try {
    writeFileSync(join(folder, 'saved_model.pb'), bytes)
    return binding.loadSavedModel(folder, 'serve')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Executor on a TensorFlow graph. A step is traced and written once at `load`. */
export function createTensorflowExecutor(options: ExecutorOptions): Executor {
  return {
    name: 'tensorflow',
    async load(step, state) {
      checkWholeState(step.signature, state)
      const binding = loadBinding(options.threads)
      const traced = traceStep(step)
      const model = lowerToTensorflow({ ...traced, program: optimise(traced.program) }, step.signature, {
        precision: options.precision ?? 'float32',
        xla: options.xla === 'on',
      })
      let handle: number
      try {
        handle = loadModel(binding, model.bytes)
      } catch (error) {
        throw new EngineLoadError(`TensorFlow refused the compiled step ${step.name}`, { cause: error })
      }
      return new TensorflowSession(binding, step, model, handle, state)
    },
  }
}
