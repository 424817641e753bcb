/** Metrics with bootstrap intervals. */
import { EvaluationInputError } from './errors.ts'
import {
  imageCount,
  type LabelledScores,
  MACRO,
  METRICS,
  type Metric,
  type MultiLabelMetrics,
  metricsOfLabels,
  rankLabels,
} from './multi-label.ts'
import { percentileInterval } from './percentile.ts'
import { Resampler, type ResampleUnit, type Uniform } from './resampling.ts'

export interface BootstrapOptions {
  /** 0: no intervals. */
  readonly resamples: number
  readonly by: ResampleUnit
  /** 0.95: a 95 % interval. */
  readonly confidence: number
}

/** One metric of one label (or `macro`). */
export interface MetricRow {
  readonly label: string
  readonly metric: Metric
  readonly value: number
  /** Null without resamples. */
  readonly low: number | null
  readonly high: number | null
}

export interface MetricReport {
  /** Macro first, then each label that is not left out; AUROC before AUPRC. */
  readonly rows: readonly MetricRow[]
  /** Labels with no positive or no negative in the whole sample. */
  readonly leftOut: readonly string[]
  /** Of each other label, resamples in which it had no positive or no negative and was left out of that resample's macro. */
  readonly leftOutResamples: Readonly<Record<string, number>>
}

const NAMES_BY_ROW = (labelNames: readonly string[]): readonly string[] => [MACRO, ...labelNames]

/** Metrics in the order of NAMES_BY_ROW. */
const byRow = (metrics: MultiLabelMetrics) => [metrics.macro, ...metrics.perLabel]

/** Bootstrap values of every row and metric; a resample in which the metric is undefined adds none. */
class Draws {
  readonly #values: readonly Record<Metric, number[]>[]
  constructor(rows: number) {
    this.#values = Array.from({ length: rows }, () => ({ auroc: [], auprc: [] }))
  }
  add(row: number, metric: Metric, value: number): void {
    this.#values[row]![metric].push(value)
  }
  of(row: number, metric: Metric): readonly number[] {
    return this.#values[row]![metric]
  }
}

/**
 * AUROC and average precision per label and macro, with percentile bootstrap intervals (Efron & Tibshirani 1993, 13.3).
 *
 * Scores are sorted once a label; a resample is a pass with weights. Cost: resamples x images x labels.
 * @param uniform source of the resamples; not called with `resamples: 0`.
 * @throws EvaluationInputError where array sizes disagree, a label is none of 0, 1, 255, or a score is not a number.
 */
export function bootstrapMetrics(data: LabelledScores, options: BootstrapOptions, uniform: Uniform): MetricReport {
  const rankings = rankLabels(data)
  const whole = metricsOfLabels(rankings)
  const names = NAMES_BY_ROW(data.labelNames)
  const draws = new Draws(names.length)
  const resampler = new Resampler(data.patients, options.by, uniform)
  for (let i = 0; i < options.resamples; i++) {
    const sample = byRow(metricsOfLabels(rankings, resampler.next()))
    sample.forEach((metrics, row) => {
      if (metrics !== null) for (const metric of METRICS) draws.add(row, metric, metrics[metric])
    })
  }
  const rows = byRow(whole).flatMap((metrics, row): MetricRow[] => {
    if (metrics === null) return []
    return METRICS.map((metric) => {
      const [low, high] = percentileInterval(draws.of(row, metric), options.confidence) ?? [null, null]
      return { label: names[row]!, metric, value: metrics[metric], low, high }
    })
  })
  const present = data.labelNames.flatMap((name, i) => (whole.leftOut.includes(i) ? [] : [{ name, row: i + 1 }]))
  return {
    rows,
    leftOut: whole.leftOut.map((i) => data.labelNames[i]!),
    leftOutResamples: Object.fromEntries(
      present.map(({ name, row }) => [name, options.resamples - draws.of(row, 'auroc').length]),
    ),
  }
}

/** Difference of two models, first minus second. */
export interface DifferenceRow extends MetricRow {
  /** Two-sided bootstrap p of "no difference": twice the smaller share of resamples on either side of 0; null without resamples. */
  readonly p: number | null
}

function assertPaired(first: LabelledScores, second: LabelledScores): void {
  const same = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    a.length === b.length && Array.prototype.every.call(a, (x, i) => x === b[i])
  if (first.labelNames.join('\n') !== second.labelNames.join('\n'))
    throw new EvaluationInputError('the two models were tested on different labels')
  if (imageCount(first) !== imageCount(second) || !same(first.labels, second.labels) || !same(first.patients, second.patients)) {
    throw new EvaluationInputError('the two models were not tested on the same images in the same order')
  }
}

/** Share of evidence against "no difference"; one resample is added to each side, so it is never 0 (Davison & Hinkley 1997). */
function twoSided(differences: readonly number[]): number | null {
  if (differences.length === 0) return null
  const above = differences.filter((difference) => difference >= 0).length
  const below = differences.filter((difference) => difference <= 0).length
  return Math.min(1, (2 * (Math.min(above, below) + 1)) / (differences.length + 1))
}

/**
 * Paired bootstrap of the difference between two models on the same test images: both are measured on the same resamples.
 * @returns macro first, then each label that is not left out.
 * @throws EvaluationInputError where the two were not tested on the same images and labels.
 */
export function bootstrapDifference(
  first: LabelledScores,
  second: LabelledScores,
  options: BootstrapOptions,
  uniform: Uniform,
): DifferenceRow[] {
  assertPaired(first, second)
  const [firstRankings, secondRankings] = [rankLabels(first), rankLabels(second)]
  const differencesOf = (weights?: Uint16Array) => {
    const others = byRow(metricsOfLabels(secondRankings, weights))
    return byRow(metricsOfLabels(firstRankings, weights)).map((metrics, row) => {
      const other = others[row] ?? null
      return metrics && other && { auroc: metrics.auroc - other.auroc, auprc: metrics.auprc - other.auprc }
    })
  }
  const names = NAMES_BY_ROW(first.labelNames)
  const draws = new Draws(names.length)
  const resampler = new Resampler(first.patients, options.by, uniform)
  for (let i = 0; i < options.resamples; i++) {
    differencesOf(resampler.next()).forEach((difference, row) => {
      if (difference) for (const metric of METRICS) draws.add(row, metric, difference[metric])
    })
  }
  return differencesOf().flatMap((difference, row): DifferenceRow[] => {
    if (!difference) return []
    return METRICS.map((metric) => {
      const drawn = draws.of(row, metric)
      const [low, high] = percentileInterval(drawn, options.confidence) ?? [null, null]
      return { label: names[row]!, metric, value: difference[metric], low, high, p: twoSided(drawn) }
    })
  })
}
