/** DeLong's test for two correlated AUROCs (DeLong, DeLong & Clarke-Pearson 1988). */
import { EvaluationInputError } from './errors.ts'
import { normalTwoSidedQuantile, twoSidedNormalP } from './normal.ts'
import { IGNORED } from './ranking.ts'

/** Structural components: each row's share of pairs won, in row order; their means are the AUROC. */
export interface StructuralComponents {
  /** V10 [positives]: share of negatives that score below this positive, ties one half. */
  readonly positives: Float64Array
  /** V01 [negatives]: share of positives that score above this negative, ties one half. */
  readonly negatives: Float64Array
}

export interface DelongResult {
  readonly aurocFirst: number
  readonly aurocSecond: number
  readonly varianceFirst: number
  readonly varianceSecond: number
  readonly covariance: number
  /** First minus second. */
  readonly difference: number
  readonly differenceVariance: number
  /** 0 where the two never differ. */
  readonly z: number
  /** Two-sided. */
  readonly p: number
  readonly firstInterval: readonly [number, number]
  readonly secondInterval: readonly [number, number]
  readonly differenceInterval: readonly [number, number]
}

/** Midranks (1-based; ties share their mean rank) of values, as in Sun & Xu 2014: the whole test costs a sort. */
function midranks(values: Float64Array): Float64Array {
  const order = Int32Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!)
  const ranks = new Float64Array(values.length)
  for (let start = 0; start < order.length; ) {
    let end = start
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + end + 1) / 2
    start = end
  }
  return ranks
}

/**
 * Structural components of one model.
 * @param labels [n] 0, 1 or 255 (ignored).
 * @param scores [n] finite.
 * @throws EvaluationInputError on other labels, scores that are not finite, or unequal lengths.
 */
export function structuralComponents(labels: ArrayLike<number>, scores: ArrayLike<number>): StructuralComponents {
  if (labels.length !== scores.length) throw new EvaluationInputError(`${labels.length} labels, but ${scores.length} scores`)
  const sides: { 0: number[]; 1: number[] } = { 0: [], 1: [] }
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row]!
    if (label === IGNORED) continue
    if (label !== 0 && label !== 1) throw new EvaluationInputError(`a label is neither 0 nor 1 nor ${IGNORED} (ignored)`)
    if (!Number.isFinite(scores[row]!)) throw new EvaluationInputError('a score is not finite')
    sides[label].push(scores[row]!)
  }
  const [m, n] = [sides[1].length, sides[0].length]
  const together = midranks(Float64Array.from([...sides[1], ...sides[0]]))
  const amongPositives = midranks(Float64Array.from(sides[1]))
  const amongNegatives = midranks(Float64Array.from(sides[0]))
  return {
    positives: amongPositives.map((own, i) => (together[i]! - own) / n),
    negatives: amongNegatives.map((own, j) => 1 - (together[m + j]! - own) / m),
  }
}

const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Sample covariance (n - 1). */
function covariance(a: Float64Array, b: Float64Array): number {
  const [meanA, meanB] = [mean(a), mean(b)]
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - meanA) * (b[i]! - meanB)
  return sum / (a.length - 1)
}

const aurocCovariance = (a: StructuralComponents, b: StructuralComponents) =>
  covariance(a.positives, b.positives) / a.positives.length + covariance(a.negatives, b.negatives) / a.negatives.length

function zOf(difference: number, variance: number): number {
  if (difference === 0) return 0
  return variance > 0 ? difference / Math.sqrt(variance) : Math.sign(difference) * Number.POSITIVE_INFINITY
}

/**
 * Whether two models that scored the same images differ in AUROC. Images are taken as independent: with many images a patient
 * the p value is too small, and the paired bootstrap by patient is the better answer.
 * @param labels [n] 0, 1 or 255 (ignored).
 * @param first [n] scores of one model; `second` of the other.
 * @returns null with fewer than two positives or two negatives: the variance is then undefined.
 */
export function delong(
  labels: ArrayLike<number>,
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  confidence = 0.95,
): DelongResult | null {
  const [a, b] = [structuralComponents(labels, first), structuralComponents(labels, second)]
  if (a.positives.length < 2 || a.negatives.length < 2) return null
  const [aurocFirst, aurocSecond] = [mean(a.positives), mean(b.positives)]
  const [varianceFirst, varianceSecond, shared] = [aurocCovariance(a, a), aurocCovariance(b, b), aurocCovariance(a, b)]
  const difference = aurocFirst - aurocSecond
  // Rounding may leave a variance of 0 slightly negative.
  const differenceVariance = Math.max(0, varianceFirst + varianceSecond - 2 * shared)
  const z = zOf(difference, differenceVariance)
  const quantile = normalTwoSidedQuantile(confidence)
  const interval = (centre: number, variance: number): [number, number] => {
    const half = quantile * Math.sqrt(variance)
    return [centre - half, centre + half]
  }
  return {
    aurocFirst,
    aurocSecond,
    varianceFirst,
    varianceSecond,
    covariance: shared,
    difference,
    differenceVariance,
    z,
    p: twoSidedNormalP(z),
    firstInterval: interval(aurocFirst, varianceFirst),
    secondInterval: interval(aurocSecond, varianceSecond),
    differenceInterval: interval(difference, differenceVariance),
  }
}
