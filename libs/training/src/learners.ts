/** The learner of each method. */
import type { TrainedPretrainSpec } from '#libs/experiments'
import { dinoLearner } from './dino-learner.ts'
import type { PretrainLearner } from './learner.ts'
import { maeLearner } from './mae-learner.ts'
import { msnLearner } from './msn-learner.ts'

export function learnerOf(spec: TrainedPretrainSpec): PretrainLearner {
  switch (spec.method) {
    case 'msn':
      return msnLearner(spec)
    case 'dino':
      return dinoLearner(spec)
    case 'mae':
      return maeLearner(spec)
  }
}

/** Whether a state entry belongs to a checkpoint that is kept for evaluation: networks, not moments or running averages of them. */
export const isEvaluable = (name: string): boolean =>
  name.startsWith('target.') || name.startsWith('online.') || name === 'prototypes'
