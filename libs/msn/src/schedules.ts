/** Schedules as pure functions of the position in training, in doubles. */

import { ADAM_SCALARS, biasCorrections } from './adamw.ts'
import type { MsnConfig, OptimiserConfig, TargetConfig } from './config.ts'

/** Where a step lies; all counts start at 0 and `step` counts over the whole run. */
export interface StepPosition {
  readonly step: number
  readonly epoch: number
  readonly stepsPerEpoch: number
}

/** From `start` at 0 to `final` at 1 along half a cosine. */
function cosine(start: number, final: number, progress: number): number {
  return final + (start - final) * 0.5 * (1 + Math.cos(Math.PI * progress))
}

/**
 * Epochs done as a schedule sees them: whole epochs before this one, or steps up to and with this one (so that the first step
 * of a warm-up is not lost at its start value).
 */
function epochsDone(granularity: 'epoch' | 'step', position: StepPosition): number {
  return granularity === 'epoch' ? position.epoch : (position.step + 1) / position.stepsPerEpoch
}

/** Linear warm-up from `start` to `peak`, then half a cosine to `final` that would end after `stretch` x the epochs. */
export function learningRate(lr: OptimiserConfig['lr'], epochs: number, position: StepPosition): number {
  const done = epochsDone(lr.granularity, position)
  if (done < lr.warmupEpochs) return lr.start + (lr.peak - lr.start) * (done / lr.warmupEpochs)
  return cosine(lr.peak, lr.final, (done - lr.warmupEpochs) / (lr.stretch * epochs - lr.warmupEpochs))
}

/** Half a cosine from `start` to `final`, stretched as the learning rate is. */
export function weightDecay(optimiser: OptimiserConfig, epochs: number, position: StepPosition): number {
  const { weightDecay: decay, lr } = optimiser
  if (decay.start === decay.final) return decay.start
  return cosine(decay.start, decay.final, epochsDone(lr.granularity, position) / (lr.stretch * epochs))
}

/** A straight line over `stretch` x all steps, taken at the 0-based step. */
export function targetMomentum(target: TargetConfig, epochs: number, position: StepPosition): number {
  const [first, last] = target.momentum
  return first + ((last - first) * position.step) / (target.momentumStretch * epochs * position.stepsPerEpoch)
}

/** Half a cosine from the first to the last momentum over all steps, taken at the 0-based step (DINO, section 3.1). */
export function cosineMomentum([first, last]: readonly [number, number], epochs: number, position: StepPosition): number {
  return cosine(first, last, position.step / (epochs * position.stepsPerEpoch))
}

/** What AdamW takes at a step. */
export function optimiserScalars(
  optimiser: OptimiserConfig,
  epochs: number,
  position: StepPosition,
): Record<(typeof ADAM_SCALARS)[number], number> {
  return {
    lr: learningRate(optimiser.lr, epochs, position),
    wd: weightDecay(optimiser, epochs, position),
    ...biasCorrections(optimiser.betas, position.step),
  }
}

/** Names of the scalars that an MSN training step takes. */
export const MSN_SCALARS = [...ADAM_SCALARS, 'momentum', 'targetMix'] as const

/** The scalars of one MSN training step. */
export function msnScalars(
  config: Pick<MsnConfig, 'optimiser' | 'target' | 'epochs'>,
  position: StepPosition,
): Record<(typeof MSN_SCALARS)[number], number> {
  const momentum = targetMomentum(config.target, config.epochs, position)
  return { ...optimiserScalars(config.optimiser, config.epochs, position), momentum, targetMix: 1 - momentum }
}
