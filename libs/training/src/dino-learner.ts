/** The DINO method as the pretraining loop asks for it. */
import type { DinoPretrainSpec } from '#libs/experiments'
import { DINO_OUTPUTS, dinoBatch, dinoInitialState, dinoParameters, dinoProbeStep, dinoScalars, dinoTrainStep } from '#libs/msn'
import { initDraws } from './draws.ts'
import { groupOf, type PretrainLearner } from './learner.ts'

export function dinoLearner(spec: DinoPretrainSpec): PretrainLearner {
  return {
    step: dinoTrainStep(spec, spec.batch),
    watched: [DINO_OUTPUTS[0], 'gradNorm'],
    probe: {
      step: dinoProbeStep(spec, spec.batch),
      order: [
        ...['teacherLogits', 'assignments', 'studentLogits', 'loss'],
        // Gradients come from the loss down, so the last layer's first.
        ...dinoParameters(spec)
          .map(({ name }) => `grad.${name}`)
          .reverse(),
      ],
    },
    initialState: () => dinoInitialState(spec, initDraws(spec.seed)),
    batch: ({ views }) => dinoBatch(spec, spec.batch, { global: groupOf(views, 'global'), local: views.local ?? null }),
    scalars: (position) => dinoScalars(spec, position),
    scheduleMetrics: (position) => {
      const { lr, wd, momentum } = dinoScalars(spec, position)
      return { lr, wd, momentum }
    },
  }
}
