/** What an evaluation takes from the runs that it hangs on. */
import { createCheckpointStore, type ObjectStore } from '#libs/artifacts'
import type { BackboneSpec, EvaluateSpec, PretrainSpec } from '#libs/experiments'
import { backboneOf, type StateArrays } from '#libs/msn'
import { type AssignmentMessage, SpecError } from '#libs/training'

export function upstreamRun(assignment: AssignmentMessage, kind: 'prepare' | 'pretrain') {
  const run = assignment.upstream.find((upstream) => upstream.kind === kind)
  if (!run) throw new SpecError(`the run needs a ${kind} run before it`, { field: 'upstream' })
  return run
}

export interface PretrainedBackbone {
  readonly backbone: BackboneSpec
  /** `backbone.*` */
  readonly weights: StateArrays
}

/** Loads the network that `spec` evaluates out of the pretraining's selected checkpoint. */
export async function pretrainedBackbone(
  store: ObjectStore,
  assignment: AssignmentMessage,
  spec: EvaluateSpec,
): Promise<PretrainedBackbone> {
  const { runId, pretrain } = upstreamRun(assignment, 'pretrain')
  if (!pretrain) throw new SpecError('the pretrain run before this one has no spec', { field: 'upstream' })
  const { role, network } = selected(pretrain, spec.network)
  const { tensors } = await createCheckpointStore(store, runId, assignment.semantics).load(role)
  const state = Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]))
  return { backbone: pretrain.backbone, weights: backboneOf(state, network) }
}

/** Random initialisation has one network; an MSN run commits its selected epoch as `best`. */
function selected(
  pretrain: PretrainSpec,
  network: 'target' | 'online',
): { role: 'best' | 'final'; network: 'target' | 'online' } {
  return pretrain.method === 'none' ? { role: 'final', network: 'online' } : { role: 'best', network }
}
