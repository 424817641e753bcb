/** What the evaluation loop trains: a head on a frozen backbone, or the whole network. */
import type { StateArrays } from '#libs/msn'
import type { EvaluationSplit } from './ports.ts'

export interface Classifier {
  /** One pass over the training split in the given order. Gives the mean loss of its batches. */
  trainEpoch(epoch: number, order: Int32Array, learningRate: number): Promise<number>
  /** Sigmoid scores [images, labels] of a split, without augmentation, with the present weights. */
  scores(split: EvaluationSplit): Promise<Float32Array>
  /** The trained weights (no moments), to come back to the best epoch. */
  weights(): StateArrays
  restore(weights: StateArrays): void
  dispose(): Promise<void>
}
