/** Scores of a linear head in plain arrays: small beside the features, and the same on every executor. */

/**
 * sigmoid(features @ weight^T + bias).
 * @param features [rows, dim] @param weight [labels, dim] @param bias [labels]
 * @returns [rows, labels]
 */
export function linearScores(features: Float32Array, weight: Float32Array, bias: Float32Array): Float32Array {
  const labels = bias.length
  const dim = weight.length / labels
  const rows = features.length / dim
  const scores = new Float32Array(rows * labels)
  for (let row = 0; row < rows; row++) {
    for (let label = 0; label < labels; label++) {
      let sum = bias[label]!
      for (let i = 0; i < dim; i++) sum += features[row * dim + i]! * weight[label * dim + i]!
      scores[row * labels + label] = 1 / (1 + Math.exp(-sum))
    }
  }
  return scores
}
