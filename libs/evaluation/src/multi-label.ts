/** Metrics of a multi-label test: per label and macro. */
import { EvaluationInputError } from './errors.ts'
import { type LabelMetrics, metricsOf, type Ranking, rank } from './ranking.ts'

export const METRICS = ['auroc', 'auprc'] as const
export type Metric = (typeof METRICS)[number]

/** The row name of the mean over labels. */
export const MACRO = 'macro'

/** What a model said of a test split. */
export interface LabelledScores {
  readonly labelNames: readonly string[]
  /** [images, labels] row-major; 0, 1 or 255 (ignored). */
  readonly labels: ArrayLike<number>
  /** [images, labels] row-major; any monotone score. */
  readonly scores: ArrayLike<number>
  /** [images] patient of each image, any integer code. */
  readonly patients: ArrayLike<number>
}

export interface MultiLabelMetrics {
  /** One entry a label, in order; null for labels that are left out. */
  readonly perLabel: readonly (LabelMetrics | null)[]
  /** Mean over the labels that are not left out; null where all are. */
  readonly macro: LabelMetrics | null
  /** Indices of labels with no positive or no negative. */
  readonly leftOut: readonly number[]
}

/** Number of images, after a check that all arrays agree on it. */
export function imageCount({ labelNames, labels, scores, patients }: LabelledScores): number {
  const images = patients.length
  const cells = images * labelNames.length
  if (labels.length !== cells || scores.length !== cells) {
    const found = `${labels.length} label cells and ${scores.length} scores`
    throw new EvaluationInputError(
      `${images} images with ${labelNames.length} labels need ${cells} cells, but there are ${found}`,
    )
  }
  return images
}

const column = (matrix: ArrayLike<number>, images: number, columns: number, index: number): Float64Array =>
  Float64Array.from({ length: images }, (_, image) => matrix[image * columns + index]!)

/** Rankings of all labels, each sorted once. */
export function rankLabels(data: LabelledScores): Ranking[] {
  const images = imageCount(data)
  const count = data.labelNames.length
  return data.labelNames.map((_, i) => rank(column(data.labels, images, count, i), column(data.scores, images, count, i)))
}

/** Macro mean over the labels that have metrics: a label without positives or negatives says nothing about the model. */
export function macroOf(perLabel: readonly (LabelMetrics | null)[]): LabelMetrics | null {
  const present = perLabel.filter((metrics) => metrics !== null)
  if (present.length === 0) return null
  const mean = (metric: Metric) => present.reduce((sum, metrics) => sum + metrics[metric], 0) / present.length
  return { auroc: mean('auroc'), auprc: mean('auprc') }
}

/** Metrics of ranked labels in the sample that `weights` describes (see metricsOf). */
export function metricsOfLabels(rankings: readonly Ranking[], weights?: Uint16Array): MultiLabelMetrics {
  const perLabel = rankings.map((ranking) => metricsOf(ranking, weights))
  const leftOut = perLabel.flatMap((metrics, i) => (metrics === null ? [i] : []))
  return { perLabel, macro: macroOf(perLabel), leftOut }
}

/**
 * AUROC and average precision per label and macro.
 * @throws EvaluationInputError where array sizes disagree, a label is none of 0, 1, 255, or a score is not a number.
 */
export function multiLabelMetrics(data: LabelledScores): MultiLabelMetrics {
  return metricsOfLabels(rankLabels(data))
}
