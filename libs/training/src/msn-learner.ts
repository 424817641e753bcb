/** The MSN method as the pretraining loop asks for it. */
import { ehrWidth, type MsnPretrainSpec } from '#libs/experiments'
import { MSN_OUTPUTS, type MsnConfig, msnBatch, msnInitialState, msnScalars, msnTrainStep } from '#libs/msn'
import { drawsOf, initDraws } from './draws.ts'
import type { PretrainLearner } from './learner.ts'

/** `spec` as libs/msn takes it: of the EHR variables only the width of their vector matters there. */
export function msnConfigOf(spec: MsnPretrainSpec): MsnConfig {
  return { ...spec, ehr: spec.ehr && { width: ehrWidth(spec.ehr), embedDim: spec.ehr.embedDim } }
}

export function msnLearner(spec: MsnPretrainSpec): PretrainLearner {
  const config = msnConfigOf(spec)
  return {
    step: msnTrainStep(config, spec.batch),
    watched: [MSN_OUTPUTS[0], 'gradNorm'],
    initialState: () => msnInitialState(config, initDraws(spec.seed)),
    batch: (views, { epoch }) =>
      msnBatch(config, {
        ...views,
        maskDraws: (sample, view) =>
          drawsOf({ seed: spec.seed, purpose: 'mask', epoch, view, sample: views.sampleKeys[sample] ?? '' }),
      }),
    scalars: (position) => msnScalars(config, position),
    scheduleMetrics: (position) => {
      const { lr, wd, momentum } = msnScalars(config, position)
      return { lr: lr ?? 0, wd: wd ?? 0, momentum: momentum ?? 0 }
    },
  }
}
