/** The scalars of one DINO training step. */
import { ADAM_SCALARS, biasCorrections } from '../adamw.ts'
import { cosineMomentum, optimiserScalars, type StepPosition } from '../schedules.ts'
import type { DinoConfig } from './config.ts'

/** `lastLayer` is 1 where the last layer moves and 0 where it is held; its bias corrections count its own updates. */
export const DINO_SCALARS = [...ADAM_SCALARS, 'momentum', 'targetMix', 'lastLayer', 'lastAdam1', 'lastAdam2'] as const

export function dinoScalars(
  config: Pick<DinoConfig, 'optimiser' | 'target' | 'epochs' | 'head'>,
  position: StepPosition,
): Record<(typeof DINO_SCALARS)[number], number> {
  const { optimiser, target, epochs, head } = config
  const momentum = cosineMomentum(target.momentum, epochs, position)
  const moves = position.epoch >= head.frozenEpochs
  const held = moves ? head.frozenEpochs * position.stepsPerEpoch : position.step
  const { adam1, adam2 } = biasCorrections(optimiser.betas, position.step - held)
  return {
    ...optimiserScalars(optimiser, epochs, position),
    momentum,
    targetMix: 1 - momentum,
    lastLayer: moves ? 1 : 0,
    lastAdam1: adam1,
    lastAdam2: adam2,
  }
}
