/** Between a session's flat state and the named tensors of a checkpoint. */
import type { StateArrays, StepSignature } from '#libs/msn'
import { ArtifactMismatchError } from './errors.ts'
import type { NamedTensors } from './ports.ts'

export function withShapes(
  state: StateArrays,
  shapes: StepSignature['state'],
  keep: (name: string) => boolean = () => true,
): NamedTensors {
  const tensors: NamedTensors = {}
  for (const [name, data] of Object.entries(state)) {
    if (!keep(name)) continue
    const shape = shapes[name]
    if (!shape) throw new ArtifactMismatchError(`state entry ${name} has no shape in the step's signature`)
    tensors[name] = { shape, data }
  }
  return tensors
}

/** All entries of `shapes`, with the shapes checked; entries that the step does not know are refused too. */
export function stateFrom(tensors: NamedTensors, shapes: StepSignature['state']): StateArrays {
  const unknown = Object.keys(tensors).find((name) => !(name in shapes))
  if (unknown) throw new ArtifactMismatchError(`the checkpoint holds ${unknown}, which this spec does not have`)
  const state: StateArrays = {}
  for (const [name, shape] of Object.entries(shapes)) {
    const tensor = tensors[name]
    if (!tensor) throw new ArtifactMismatchError(`the checkpoint lacks ${name}`)
    if (tensor.shape.join() !== shape.join()) {
      throw new ArtifactMismatchError(`${name} has shape [${tensor.shape}] in the checkpoint and [${shape}] in the spec`)
    }
    state[name] = tensor.data
  }
  return state
}
