import { metricsOf, rank } from './ranking.ts'

/**
 * Average precision (AUPRC): the sum over distinct thresholds of (R_n - R_n-1) P_n, tied scores entering together
 * (scikit-learn's average_precision_score; no interpolation).
 * @param labels [n] 0, 1 or 255 (ignored).
 * @param scores [n].
 * @returns null without positives or without negatives.
 */
export function averagePrecision(labels: ArrayLike<number>, scores: ArrayLike<number>): number | null {
  return metricsOf(rank(labels, scores))?.auprc ?? null
}
