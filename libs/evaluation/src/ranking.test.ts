import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { auroc, averagePrecision, EvaluationInputError, metricsOf, rank } from './index.ts'

/** By definition, pair by pair. */
function pairwiseAuroc(labels: readonly number[], scores: readonly number[]): number | null {
  const positives = scores.filter((_, i) => labels[i] === 1)
  const negatives = scores.filter((_, i) => labels[i] === 0)
  if (positives.length === 0 || negatives.length === 0) return null
  const won = positives.flatMap((p) => negatives.map((n): number => (p > n ? 1 : p === n ? 0.5 : 0)))
  return won.reduce((sum, x) => sum + x, 0) / won.length
}

/** By definition, threshold by threshold. */
function thresholdwisePrecision(labels: readonly number[], scores: readonly number[]): number | null {
  const rows = labels.flatMap((label, i) => (label === 255 ? [] : [{ label, score: scores[i]! }]))
  const total = rows.filter((row) => row.label === 1).length
  if (total === 0 || total === rows.length) return null
  let [sum, recallBefore] = [0, 0]
  for (const threshold of [...new Set(rows.map((row) => row.score))].sort((a, b) => b - a)) {
    const called = rows.filter((row) => row.score >= threshold)
    const hits = called.filter((row) => row.label === 1).length
    sum += (hits / total - recallBefore) * (hits / called.length)
    recallBefore = hits / total
  }
  return sum
}

const sample = fc.array(fc.record({ label: fc.constantFrom(0, 1, 255), score: fc.integer({ min: -4, max: 4 }) }), {
  maxLength: 40,
})

describe('AUROC and average precision', () => {
  it('equal their definitions for any labels, ties and ignored cells', () => {
    fc.assert(
      fc.property(sample, (rows) => {
        const [labels, scores] = [rows.map((row) => row.label), rows.map((row) => row.score)]
        const near = (a: number | null, b: number | null) => (a === null || b === null ? a === b : Math.abs(a - b) < 1e-12)
        return (
          near(auroc(labels, scores), pairwiseAuroc(labels, scores)) &&
          near(averagePrecision(labels, scores), thresholdwisePrecision(labels, scores))
        )
      }),
      { numRuns: 500 },
    )
  })

  it('with weights equal the metrics of a sample that holds each row that often', () => {
    const rowWithWeight = fc.record({
      label: fc.constantFrom(0, 1, 255),
      score: fc.integer({ min: 0, max: 3 }),
      weight: fc.integer({ min: 0, max: 3 }),
    })
    fc.assert(
      fc.property(fc.array(rowWithWeight, { maxLength: 25 }), (rows) => {
        const weighted = metricsOf(
          rank(
            rows.map((row) => row.label),
            rows.map((row) => row.score),
          ),
          Uint16Array.from(rows, (row) => row.weight),
        )
        const repeated = rows.flatMap((row) => Array.from({ length: row.weight }, () => row))
        const plain = metricsOf(
          rank(
            repeated.map((row) => row.label),
            repeated.map((row) => row.score),
          ),
        )
        expect(weighted === null).toBe(plain === null)
        if (weighted === null || plain === null) return
        expect(weighted.auroc).toBeCloseTo(plain.auroc, 12)
        expect(weighted.auprc).toBeCloseTo(plain.auprc, 12)
      }),
    )
  })

  it('are undefined without positives or without negatives', () => {
    expect(auroc([1, 1, 255], [0.1, 0.2, 0.3])).toBeNull()
    expect(averagePrecision([0, 0], [0.1, 0.2])).toBeNull()
    expect(auroc([], [])).toBeNull()
  })

  it.each([
    ['a label that is neither 0, 1 nor 255', [0, 2], [0.1, 0.2], /neither 0 nor 1/],
    ['a score that is not a number', [0, 1], [0.1, Number.NaN], /not a number/],
    ['unequal lengths', [0, 1], [0.1], /2 labels, but 1 scores/],
  ])('refuse %s', (_, labels, scores, message) => {
    expect(() => auroc(labels, scores)).toThrow(EvaluationInputError)
    expect(() => auroc(labels, scores)).toThrow(message)
  })
})
