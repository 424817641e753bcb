import { EvaluationInputError } from './errors.ts'

/**
 * Quantile by linear interpolation between order statistics at (n - 1) q, as numpy's default.
 * @param sorted ascending, at least one value.
 * @param q in [0, 1].
 */
export function quantileOfSorted(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) throw new EvaluationInputError('a quantile of no values')
  if (!(q >= 0 && q <= 1)) throw new EvaluationInputError(`a quantile lies in 0..1, not at ${q}`)
  const position = (sorted.length - 1) * q
  const below = Math.floor(position)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low + (high - low) * (position - below)
}

/** Quantile of values in any order; see quantileOfSorted. */
export function percentile(values: ArrayLike<number>, q: number): number {
  return quantileOfSorted(Float64Array.from(values).sort(), q)
}

/** Central percentile interval of bootstrap values; null where there are none. */
export function percentileInterval(values: ArrayLike<number>, confidence: number): readonly [low: number, high: number] | null {
  if (values.length === 0) return null
  const sorted = Float64Array.from(values).sort()
  const tail = (1 - confidence) / 2
  return [quantileOfSorted(sorted, tail), quantileOfSorted(sorted, 1 - tail)]
}
