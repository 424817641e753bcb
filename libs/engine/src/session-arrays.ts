/** Checks of what callers hand to a session, shared by all executors. */
import type { StateArrays, StepSignature } from '#libs/msn'
import { FeedMismatchError, StateMismatchError } from './errors.ts'
import { sizeOf } from './program.ts'

/** Throws StateMismatchError unless every given entry exists and has its size. */
export function checkState(signature: StepSignature, state: Readonly<StateArrays>): void {
  for (const [name, array] of Object.entries(state)) {
    const shape = signature.state[name]
    if (shape === undefined) throw new StateMismatchError(name, 'is not in the signature of the step')
    const size = sizeOf(shape)
    if (array.length !== size) {
      throw new StateMismatchError(name, `has ${array.length} values, but shape [${shape.join(', ')}] needs ${size}`)
    }
  }
}

/** The same, and nothing may be missing. */
export function checkWholeState(signature: StepSignature, state: Readonly<StateArrays>): void {
  for (const name of Object.keys(signature.state)) {
    if (state[name] === undefined) throw new StateMismatchError(name, 'is missing')
  }
  checkState(signature, state)
}

/** `names`, or all names of the state; throws StateMismatchError for a name that the state lacks. */
export function stateNames(signature: StepSignature, names?: readonly string[]): readonly string[] {
  if (names === undefined) return Object.keys(signature.state)
  for (const name of names) {
    if (signature.state[name] === undefined) throw new StateMismatchError(name, 'is not in the signature of the step')
  }
  return names
}

function checkNames(kind: 'batch' | 'scalar', wanted: readonly string[], given: Readonly<Record<string, unknown>>): void {
  for (const name of wanted) if (given[name] === undefined) throw new FeedMismatchError(kind, name, 'is missing')
  for (const name of Object.keys(given)) {
    if (!wanted.includes(name)) throw new FeedMismatchError(kind, name, 'is not in the signature of the step')
  }
}

/** Throws FeedMismatchError unless batch and scalars are exactly those of the signature. */
export function checkFeeds(
  signature: StepSignature,
  batch: Readonly<Record<string, Float32Array>>,
  scalars: Readonly<Record<string, number>>,
): void {
  checkNames('batch', Object.keys(signature.batch), batch)
  checkNames('scalar', signature.scalars, scalars)
  for (const [name, shape] of Object.entries(signature.batch)) {
    const size = sizeOf(shape)
    const { length } = batch[name]!
    if (length !== size)
      throw new FeedMismatchError('batch', name, `has ${length} values, but shape [${shape.join(', ')}] needs ${size}`)
  }
}
