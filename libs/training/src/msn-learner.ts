/** The MSN method as the pretraining loop asks for it. */
import { ehrWidth, type MsnPretrainSpec } from '#libs/experiments'
import {
  MSN_OUTPUTS,
  type MsnConfig,
  msnBatch,
  msnInitialState,
  msnParameters,
  msnProbeStep,
  msnScalars,
  msnTrainStep,
} from '#libs/msn'
import { initDraws, maskDraws } from './draws.ts'
import { groupOf, type PretrainLearner } from './learner.ts'

/** `spec` as libs/msn takes it: of the EHR variables only the width of their vector matters there. */
export function msnConfigOf(spec: MsnPretrainSpec): MsnConfig {
  return { ...spec, ehr: spec.ehr && { width: ehrWidth(spec.ehr), embedDim: spec.ehr.embedDim } }
}

/** Forward as it runs, then backward: gradients come from the loss down, so the last layer's first. */
const probeOrder = (config: MsnConfig): string[] => [
  ...['zTarget', 't', 'headInput', 'z', 'p', 'ce', 'memax', 'loss'],
  ...msnParameters(config)
    .trained.map(({ name }) => `grad.${name}`)
    .reverse(),
]

export function msnLearner(spec: MsnPretrainSpec): PretrainLearner {
  const config = msnConfigOf(spec)
  return {
    step: msnTrainStep(config, spec.batch),
    watched: [MSN_OUTPUTS[0], 'gradNorm'],
    probe: { step: msnProbeStep(config, spec.batch), order: probeOrder(config) },
    initialState: () => msnInitialState(config, initDraws(spec.seed)),
    batch: ({ views, sampleKeys, ehr }, { epoch }) =>
      msnBatch(config, {
        target: groupOf(views, 'target'),
        random: groupOf(views, 'random'),
        focal: views.focal ?? null,
        ehr,
        maskDraws: maskDraws(spec.seed, epoch, sampleKeys),
      }),
    scalars: (position) => msnScalars(config, position),
    scheduleMetrics: (position) => {
      const { lr, wd, momentum } = msnScalars(config, position)
      return { lr: lr ?? 0, wd: wd ?? 0, momentum: momentum ?? 0 }
    },
  }
}
