/** Targets and weights of a batch of labels: what is ignored, and rows that only fill the batch, weigh nothing. */
import type { EvaluationSplit } from './ports.ts'

export const IGNORED = 255

export interface LabelBatch {
  /** [batch, labels] */
  readonly targets: Float32Array
  readonly weights: Float32Array
}

export function labelBatch(split: EvaluationSplit, indices: Int32Array, batch: number): LabelBatch {
  const labels = split.labelNames.length
  const targets = new Float32Array(batch * labels)
  const weights = new Float32Array(batch * labels)
  indices.forEach((image, row) => {
    for (let label = 0; label < labels; label++) {
      const value = split.labels[image * labels + label]!
      if (value === IGNORED) continue
      targets[row * labels + label] = value
      weights[row * labels + label] = 1
    }
  })
  return { targets, weights }
}
