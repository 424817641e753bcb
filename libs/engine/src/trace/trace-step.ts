import type { Shape, Step, TensorMap } from '#libs/msn'
import { StepContractError, UnknownKernelError } from '../errors.ts'
import type { Program, ValueId } from '../program.ts'
import { sameShape } from '../program.ts'
import { tf } from '../tf.ts'
import { registerTracerKernels } from './kernels.ts'
import type { Recording } from './recording.ts'
import { TRACER, TracerBackend } from './tracer-backend.ts'

/** Names of a traced step's inputs and outputs; state, batch and scalars may share names among them. */
export const inputName = {
  state: (name: string) => `state:${name}`,
  batch: (name: string) => `batch:${name}`,
  scalar: (name: string) => `scalar:${name}`,
} as const
export const outputName = {
  state: (name: string) => `next:${name}`,
  output: (name: string) => `output:${name}`,
} as const

export interface TracedStep {
  /** Inputs and outputs are named by `inputName` and `outputName`; every output is float32. */
  readonly program: Program
  /** State entries that the step replaces. The others are constants to it. */
  readonly updated: readonly string[]
  /** Names of what the step gives back beside its state. */
  readonly outputs: readonly string[]
}

let installed: TracerBackend | undefined

function tracer(): TracerBackend {
  if (installed !== undefined) return installed
  const backend = new TracerBackend()
  // Priority 0: tfjs must never pick the tracer by itself.
  tf.registerBackend(TRACER, () => backend, 0)
  registerTracerKernels()
  installed = backend
  return backend
}

/** A kernel that not even the CPU backend knows is refused by tfjs itself, with a text of this form. */
function asUnknownKernel(error: unknown): unknown {
  const kernel =
    error instanceof Error ? /[Kk]ernel '([^']+)' (?:not registered )?for backend/.exec(error.message)?.[1] : undefined
  return kernel === undefined ? error : new UnknownKernelError(kernel, { cause: error })
}

function placeholders(
  backend: TracerBackend,
  shapes: Readonly<Record<string, Shape>>,
  nameOf: (name: string) => string,
): TensorMap {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const info = backend.infoOf(backend.recording.input(nameOf(name), shape), shape, 'float32')
      return [name, tf.engine().makeTensorFromTensorInfo(info)]
    }),
  )
}

/** Ids of the state entries that the step returned changed; checks names and shapes. */
function nextState(step: Step, backend: TracerBackend, given: TensorMap, returned: TensorMap): Map<string, ValueId> {
  const next = new Map<string, ValueId>()
  for (const [name, tensor] of Object.entries(returned)) {
    const shape = step.signature.state[name]
    if (shape === undefined)
      throw new StepContractError(step.name, `it returns the state entry ${name}, which its signature lacks`)
    if (tensor.dtype !== 'float32' || !sameShape(tensor.shape, shape)) {
      const returnedType = `${tensor.dtype} [${tensor.shape.join(', ')}]`
      throw new StepContractError(step.name, `it returns ${name} as ${returnedType} in place of float32 [${shape.join(', ')}]`)
    }
    const id = backend.idOf(tensor)
    if (id !== backend.idOf(given[name]!)) next.set(name, id)
  }
  return next
}

function recordStep(step: Step, backend: TracerBackend, recording: Recording): TracedStep {
  const { signature } = step
  const state = placeholders(backend, signature.state, inputName.state)
  const batch = placeholders(backend, signature.batch, inputName.batch)
  const scalars = placeholders(backend, Object.fromEntries(signature.scalars.map((name) => [name, []])), inputName.scalar)
  const result = step.run(state, batch, scalars)
  const next = nextState(step, backend, state, result.state)
  const outputs: Record<string, ValueId> = {}
  for (const [name, id] of next) outputs[outputName.state(name)] = id
  for (const [name, tensor] of Object.entries(result.outputs)) {
    outputs[outputName.output(name)] = backend.idOf(tensor.dtype === 'float32' ? tensor : tf.cast(tensor, 'float32'))
  }
  return {
    program: { ops: recording.ops, values: recording.values, inputs: recording.inputs, outputs },
    updated: [...next.keys()],
    outputs: Object.keys(result.outputs),
  }
}

/**
 * Runs the step's function once on recording tensors. Nothing is computed; the tfjs backend is as before afterwards.
 * Throws UnknownKernelError, ValueReadError or StepContractError.
 */
export function traceStep(step: Step): TracedStep {
  const backend = tracer()
  const before = tf.getBackend() ?? 'cpu'
  tf.setBackend(TRACER)
  tf.engine().startScope('trace')
  try {
    return backend.record(step.name, (recording) => recordStep(step, backend, recording))
  } catch (error) {
    throw asUnknownKernel(error)
  } finally {
    tf.engine().endScope()
    tf.setBackend(before)
  }
}
