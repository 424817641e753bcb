/** The MAE method as the pretraining loop asks for it. */
import type { MaePretrainSpec } from '#libs/experiments'
import { MAE_OUTPUTS, maeBatch, maeInitialState, maeParameters, maeProbeStep, maeScalars, maeTrainStep } from '#libs/msn'
import { initDraws, maskDraws } from './draws.ts'
import { groupOf, type PretrainLearner } from './learner.ts'

/** An image has one view. */
const VIEW = 0

export function maeLearner(spec: MaePretrainSpec): PretrainLearner {
  return {
    step: maeTrainStep(spec, spec.batch),
    watched: [MAE_OUTPUTS[0], 'gradNorm'],
    probe: {
      step: maeProbeStep(spec, spec.batch),
      order: [
        ...['wanted', 'predicted', 'loss'],
        // Gradients come from the loss down, so the last layer's first.
        ...maeParameters(spec)
          .map(({ name }) => `grad.${name}`)
          .reverse(),
      ],
    },
    initialState: () => maeInitialState(spec, initDraws(spec.seed)),
    batch: ({ views, sampleKeys }, { epoch }) => {
      const draws = maskDraws(spec.seed, epoch, sampleKeys)
      return maeBatch(spec, groupOf(views, 'image'), (sample) => draws(sample, VIEW))
    },
    scalars: (position) => maeScalars(spec, position),
    scheduleMetrics: (position) => {
      const { lr, wd } = maeScalars(spec, position)
      return { lr, wd }
    },
  }
}
