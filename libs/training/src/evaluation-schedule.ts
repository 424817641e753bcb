/** Learning rate and stopping of an evaluation (method.md, "Evaluation"). Pure: a state in, a state out. */
import type { EvaluateSpec } from '#libs/experiments'

export interface EvaluationProgress {
  readonly learningRate: number
  readonly bestValue: number
  readonly bestEpoch: number
  /** Epochs since the last improvement, for stopping and, since the last reduction, for `plateau`. */
  readonly sinceBest: number
  readonly sinceReduced: number
}

export function startOf(spec: EvaluateSpec): EvaluationProgress {
  return { learningRate: spec.optimiser.lr, bestValue: -Infinity, bestEpoch: -1, sinceBest: 0, sinceReduced: 0 }
}

/**
 * After `epoch` (0-based) with validation value `value` (macro AUROC; NaN where no label has both classes: the epoch then counts
 * as the best so far, so the last one is tested).
 */
export function afterEpoch(spec: EvaluateSpec, before: EvaluationProgress, epoch: number, value: number): EvaluationProgress {
  const improved = Number.isNaN(value) || value > before.bestValue
  const sinceReduced = improved ? 0 : before.sinceReduced + 1
  const { schedule, lr, plateauFactor, plateauPatience } = spec.optimiser
  const reduce = schedule === 'plateau' && sinceReduced > plateauPatience
  const cosine = 0.5 * lr * (1 + Math.cos((Math.PI * (epoch + 1)) / spec.epochs))
  return {
    learningRate: schedule === 'cosine-epoch' ? cosine : reduce ? before.learningRate * plateauFactor : before.learningRate,
    bestValue: improved && !Number.isNaN(value) ? value : before.bestValue,
    bestEpoch: improved ? epoch : before.bestEpoch,
    sinceBest: improved ? 0 : before.sinceBest + 1,
    sinceReduced: reduce ? 0 : sinceReduced,
  }
}

export const stopsEarly = (spec: EvaluateSpec, progress: EvaluationProgress): boolean =>
  progress.sinceBest >= spec.earlyStopPatience
