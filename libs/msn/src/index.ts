export type { AdamConfig } from './adamw.ts'
export { biasCorrections } from './adamw.ts'
export { backboneFeatures, backboneParameters, type PatchInput } from './backbone.ts'
export { barrier } from './barrier.ts'
export { bceWithLogits } from './bce.ts'
export {
  backboneInitialState,
  backboneOf,
  classifierScalars,
  classifierShapes,
  type FinetuneConfig,
  featuresStep,
  finetuneInitialState,
  finetuneStep,
  headScoresStep,
  type LinearHeadConfig,
  linearHeadInitialState,
  linearHeadParameters,
  linearHeadStep,
} from './classify.ts'
export {
  type BackboneConfig,
  gridOf,
  type HeadConfig,
  type LossConfig,
  type MsnConfig,
  type MsnLayout,
  msnLayout,
  type Normalisation,
  type OptimiserConfig,
  type TargetConfig,
  type ViewLayout,
} from './config.ts'
export { meanPairwiseCosine, meanRowEntropy } from './diagnostics.ts'
export { type DinoViews, dinoBatch } from './dino/batch.ts'
export { type DinoConfig, type DinoHeadConfig, type DinoLossConfig, dinoLayout } from './dino/config.ts'
export { dinoHead, dinoHeadParameters, LAST_LAYER } from './dino/head.ts'
export { dinoLoss, nextCentre, teacherAssignments } from './dino/loss.ts'
export { dinoScalars } from './dino/schedules.ts'
export { DINO_OUTPUTS, type DinoOutput, dinoInitialState, dinoParameters, dinoProbeStep, dinoTrainStep } from './dino/step.ts'
export { MsnConfigError, MsnInputError } from './errors.ts'
export { headBuffers, headParameters, projectionHead } from './head.ts'
export type { ParameterDraws } from './init.ts'
export { msnLoss, sinkhorn, targetAssignments } from './loss.ts'
export { maeBatch } from './mae/batch.ts'
export { type MaeConfig, type MaeDecoderConfig, maeLayout } from './mae/config.ts'
export { maeLoss, normalisedPatches } from './mae/loss.ts'
export { maeParameters } from './mae/network.ts'
export { MAE_OUTPUTS, type MaeOutput, maeInitialState, maeProbeStep, maeScalars, maeTrainStep } from './mae/step.ts'
export { keptCount, keptPatches, oneHotPositions, type Uniform } from './masks.ts'
export { type MsnViews, msnBatch } from './msn-batch.ts'
export { msnParameters } from './msn-forward.ts'
export { MSN_OUTPUTS, type MsnOutput, msnInitialState, msnProbeStep, msnTrainStep } from './msn-step.ts'
export { softmax } from './ops.ts'
export { type ParameterSpec, parameter, shapesOf, sizeOf } from './parameters.ts'
export { type GreyImages, type KeptIds, patchesOfChannels, patchesOfGrey } from './patches.ts'
export { gridMatrix, resamplingMatrix } from './position.ts'
export { cosineMomentum, learningRate, msnScalars, type StepPosition, targetMomentum, weightDecay } from './schedules.ts'
export * from './step.ts'
export { tf } from './tf.ts'
