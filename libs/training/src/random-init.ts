/** Random initialisation as a pretraining run: commits the backbone that every method of this seed starts from. */
import type { RandomInitSpec } from '#libs/experiments'
import { backboneInitialState, backboneParameters } from '#libs/msn'
import { initDraws } from './draws.ts'
import type { CheckpointStore, NamedTensors } from './ports.ts'

/** Commits `final` with the entries `online.<parameter>`. */
export async function commitRandomInit(spec: RandomInitSpec, checkpoints: CheckpointStore): Promise<void> {
  const state = backboneInitialState(spec.backbone, initDraws(spec.seed))
  const tensors: NamedTensors = {}
  for (const { name, shape } of backboneParameters(spec.backbone)) {
    const data = state[`backbone.${name}`]
    if (!data) throw new Error(`the initial backbone lacks ${name}`)
    tensors[`online.${name}`] = { shape, data }
  }
  await checkpoints.save({ step: 0, meta: { method: 'none' }, tensors }, 'final')
}
