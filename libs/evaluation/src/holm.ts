import { EvaluationInputError } from './errors.ts'

/**
 * Holm's step-down correction of many tests (Holm 1979): the i-th smallest of m p values is multiplied by m - i + 1, made
 * monotone and cut at 1. Controls the chance of any false finding in the family.
 * @returns adjusted p values in the order of the input.
 */
export function holm(pValues: readonly number[]): number[] {
  if (pValues.some((p) => !(p >= 0 && p <= 1))) throw new EvaluationInputError('a p value lies outside 0..1')
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!)
  const adjusted = new Array<number>(pValues.length)
  let largest = 0
  order.forEach((index, i) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - i) * pValues[index]!))
    adjusted[index] = largest
  })
  return adjusted
}
