import type { StateArrays, Step, TensorMap } from '#libs/msn'
import { EngineRunError, SessionUseError, StepContractError } from '../errors.ts'
import type { Executor, Session } from '../executor.ts'
import { sameShape } from '../program.ts'
import { checkFeeds, checkState, checkWholeState, stateNames } from '../session-arrays.ts'
import { tf } from '../tf.ts'

type Tensor = TensorMap[string]

/** Runs a step op by op on tfjs's CPU backend: slow, but with nothing of the engine in between. The oracle of the tests. */
class EagerSession implements Session {
  private readonly step: Step
  private state: TensorMap
  private disposed = false

  constructor(step: Step, state: Readonly<StateArrays>) {
    this.step = step
    this.state = onCpu(() =>
      Object.fromEntries(Object.keys(step.signature.state).map((name) => [name, this.entry(name, state[name]!)])),
    )
  }

  async run(
    batch: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
  ): Promise<Record<string, Float32Array>> {
    this.assertUsable()
    const { signature, name, run } = this.step
    checkFeeds(signature, batch, scalars)
    return onCpu(() => {
      let result: { state: TensorMap; outputs: TensorMap }
      try {
        result = tf.tidy(() => {
          const tensors = mapEntries(signature.batch, (key, shape) => tf.tensor(batch[key]!.slice(), [...shape], 'float32'))
          const numbers = Object.fromEntries(signature.scalars.map((key) => [key, tf.scalar(scalars[key]!, 'float32')]))
          const { state, outputs } = run(this.state, tensors, numbers)
          return { state: this.checked(state), outputs: mapEntries(outputs, (_, tensor) => tf.clone(tf.cast(tensor, 'float32'))) }
        })
      } catch (error) {
        if (error instanceof StepContractError) throw error
        throw new EngineRunError(name, { cause: error })
      }
      this.keep(result.state)
      const outputs = mapEntries(result.outputs, (_, tensor) => Float32Array.from(tensor.dataSync()))
      tf.dispose(result.outputs)
      return outputs
    })
  }

  readState(names?: readonly string[]): StateArrays {
    this.assertUsable()
    const wanted = stateNames(this.step.signature, names)
    return Object.fromEntries(wanted.map((name) => [name, Float32Array.from(this.state[name]!.dataSync())]))
  }

  writeState(state: Readonly<StateArrays>): void {
    this.assertUsable()
    checkState(this.step.signature, state)
    onCpu(() => this.keep(mapEntries(state, (name, array) => this.entry(name, array))))
  }

  async dispose(): Promise<void> {
    if (this.disposed) return
    this.disposed = true
    tf.dispose(this.state)
    this.state = {}
  }

  private entry(name: string, array: Float32Array): Tensor {
    return tf.tensor(array.slice(), [...this.step.signature.state[name]!], 'float32')
  }

  /** The changed entries as tensors of their own: a step may return one tensor under two names, or an input under another name. */
  private checked(returned: TensorMap): TensorMap {
    const changed: TensorMap = {}
    for (const [name, tensor] of Object.entries(returned)) {
      const shape = this.step.signature.state[name]
      if (shape === undefined)
        throw new StepContractError(this.step.name, `it returns the state entry ${name}, which its signature lacks`)
      if (tensor.dtype !== 'float32' || !sameShape(tensor.shape, shape)) {
        const returnedType = `${tensor.dtype} [${tensor.shape.join(', ')}]`
        throw new StepContractError(
          this.step.name,
          `it returns ${name} as ${returnedType} in place of float32 [${shape.join(', ')}]`,
        )
      }
      if (tensor !== this.state[name]) changed[name] = tf.clone(tensor)
    }
    return changed
  }

  private keep(changed: TensorMap): void {
    for (const [name, tensor] of Object.entries(changed)) {
      this.state[name]!.dispose()
      this.state[name] = tensor
    }
  }

  private assertUsable(): void {
    if (this.disposed) throw new SessionUseError(`the session of step ${this.step.name} was disposed`)
  }
}

function mapEntries<A, B>(record: Readonly<Record<string, A>>, change: (key: string, value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(key, value)]))
}

/** Runs `body` with the CPU backend selected and puts the former one back. */
function onCpu<T>(body: () => T): T {
  const before = tf.getBackend()
  if (before === 'cpu') return body()
  tf.setBackend('cpu')
  try {
    return body()
  } finally {
    if (before !== undefined) tf.setBackend(before)
  }
}

export function createEagerExecutor(): Executor {
  return {
    name: 'eager',
    async load(step, state) {
      checkWholeState(step.signature, state)
      return new EagerSession(step, state)
    },
  }
}
