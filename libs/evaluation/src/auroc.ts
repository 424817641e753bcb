import { metricsOf, rank } from './ranking.ts'

/**
 * Area under the ROC curve: the share of (positive, negative) pairs in which the positive has the higher score, ties counting
 * one half (Mann-Whitney U; scikit-learn's roc_auc_score).
 * @param labels [n] 0, 1 or 255 (ignored).
 * @param scores [n].
 * @returns null without positives or without negatives.
 */
export function auroc(labels: ArrayLike<number>, scores: ArrayLike<number>): number | null {
  return metricsOf(rank(labels, scores))?.auroc ?? null
}
