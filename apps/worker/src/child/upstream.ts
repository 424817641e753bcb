/** What a run takes from the runs that it hangs on. */
import { createCheckpointStore, type ObjectStore } from '#libs/artifacts'
import { openPack } from '#libs/datasets'
import { type BackboneSpec, isTrainedPretrain, type PretrainSpec, type RunKind } from '#libs/experiments'
import { backboneOf, type StateArrays } from '#libs/msn'
import { type AssignmentMessage, type Pack, SpecError } from '#libs/training'
import type { Job } from './job.ts'

type Network = 'target' | 'online'

export function upstreamRun(assignment: AssignmentMessage, kind: RunKind): AssignmentMessage['upstream'][number] {
  const run = assignment.upstream.find((upstream) => upstream.kind === kind)
  if (!run) throw new SpecError(`the run needs a ${kind} run before it`, { field: 'upstream' })
  return run
}

/** The images that the run reads. */
export function openUpstreamPack({ assignment, store, config }: Job): Promise<Pack> {
  return openPack(store, upstreamRun(assignment, 'prepare').runId, {
    semantics: assignment.semantics,
    memoryBudgetBytes: config.packCacheBytes,
  })
}

export interface PretrainedBackbone {
  readonly backbone: BackboneSpec
  /** `backbone.*` */
  readonly weights: StateArrays
}

/** Loads one of the networks in the pretraining's selected checkpoint. */
export async function pretrainedBackbone(
  store: ObjectStore,
  assignment: AssignmentMessage,
  wanted: Network,
): Promise<PretrainedBackbone> {
  const { runId, pretrain } = upstreamRun(assignment, 'pretrain')
  if (!pretrain) throw new SpecError('the pretrain run before this one has no spec', { field: 'upstream' })
  const { role, network } = selected(pretrain, wanted)
  const { tensors } = await createCheckpointStore(store, runId, assignment.semantics).load(role)
  const state = Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]))
  return { backbone: pretrain.backbone, weights: backboneOf(state, network) }
}

/** Weights that nothing was trained on have one network; a run that trains commits its selected epoch as `best`. */
function selected(pretrain: PretrainSpec, network: Network): { role: 'best' | 'final'; network: Network } {
  if (!isTrainedPretrain(pretrain)) return { role: 'final', network: 'online' }
  if (pretrain.method === 'mae' && network === 'target')
    throw new SpecError('a backbone pretrained by MAE has no target network', { field: 'network' })
  return { role: 'best', network }
}
