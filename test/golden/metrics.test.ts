/** AUROC, average precision, DeLong, Holm and percentiles against an independent implementation in float64. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { auroc, averagePrecision, delong, holm, multiLabelMetrics, percentile, structuralComponents } from '#libs/evaluation'

interface MetricsGolden {
  readonly binary: readonly {
    name: string
    labels: number[]
    scores: number[]
    auroc: number | null
    averagePrecision: number | null
  }[]
  readonly macro: readonly {
    name: string
    n: number
    labelCount: number
    labels: string[]
    scores: number[][]
    perLabelAuroc: (number | null)[]
    perLabelAveragePrecision: (number | null)[]
    leftOut: number[]
    macroAuroc: number
    macroAveragePrecision: number
  }[]
  readonly delong: readonly {
    name: string
    labels: number[]
    scoresA: number[]
    scoresB: number[]
    expected: Record<'aucA' | 'aucB' | 'varA' | 'varB' | 'covAB' | 'diff' | 'varDiff' | 'z' | 'p', number> & {
      ciA: [number, number]
      ciDiff: [number, number]
    }
    structuralComponents?: Record<'positivesA' | 'negativesA' | 'positivesB' | 'negativesB', number[]>
  }[]
  readonly holm: { p: number[]; adjusted: number[] }
  readonly percentile: { values: number[]; at: number[]; expected: number[] }
}

const golden: MetricsGolden = JSON.parse(readFileSync(new URL('./data/metrics.json', import.meta.url), 'utf8'))

/** The goldens carry 12 significant digits. */
const BOUND = 2e-12

function expectNear(actual: number | null | undefined, expected: number | null, bound = BOUND): void {
  if (expected === null) expect(actual).toBeNull()
  else
    expect(Math.abs(actual! - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(
      bound * Math.max(1, Math.abs(expected)),
    )
}

function expectAllNear(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length)
  for (const [i, value] of expected.entries()) expectNear(actual[i], value)
}

describe('metrics', () => {
  it.each(golden.binary)('AUROC and average precision: $name', (sample) => {
    expectNear(auroc(sample.labels, sample.scores), sample.auroc)
    expectNear(averagePrecision(sample.labels, sample.scores), sample.averagePrecision)
  })

  it.each(golden.macro)('$name', (sample) => {
    const labels = sample.labels.flatMap((row) => [...row].map(Number))
    const labelNames = Array.from({ length: sample.labelCount }, (_, i) => `label ${i}`)
    const patients = Array.from({ length: sample.n }, (_, i) => i)
    const metrics = multiLabelMetrics({ labelNames, labels, scores: sample.scores.flat(), patients })
    expect(metrics.leftOut).toEqual(sample.leftOut)
    expect(metrics.perLabel).toHaveLength(sample.labelCount)
    metrics.perLabel.forEach((label, i) => {
      expectNear(label?.auroc ?? null, sample.perLabelAuroc[i]!)
      expectNear(label?.auprc ?? null, sample.perLabelAveragePrecision[i]!)
    })
    expectNear(metrics.macro?.auroc, sample.macroAuroc)
    expectNear(metrics.macro?.auprc, sample.macroAveragePrecision)
  })

  it.each(golden.delong)('DeLong: $name', ({ labels, scoresA, scoresB, expected, structuralComponents: components }) => {
    const result = delong(labels, scoresA, scoresB)!
    expectNear(result.aurocFirst, expected.aucA)
    expectNear(result.aurocSecond, expected.aucB)
    expectNear(result.varianceFirst, expected.varA)
    expectNear(result.varianceSecond, expected.varB)
    expectNear(result.covariance, expected.covAB)
    expectNear(result.difference, expected.diff)
    expectNear(result.differenceVariance, expected.varDiff)
    expectNear(result.z, expected.z, 1e-11)
    expect(Math.abs(result.p - expected.p)).toBeLessThanOrEqual(1e-9 * expected.p)
    expectAllNear(result.firstInterval, expected.ciA)
    expectAllNear(result.differenceInterval, expected.ciDiff)
    if (components === undefined) return
    const [first, second] = [structuralComponents(labels, scoresA), structuralComponents(labels, scoresB)]
    expectAllNear(first.positives, components.positivesA)
    expectAllNear(first.negatives, components.negativesA)
    expectAllNear(second.positives, components.positivesB)
    expectAllNear(second.negatives, components.negativesB)
  })

  it('structural components are part of at least one case', () => {
    expect(golden.delong.some((sample) => sample.structuralComponents !== undefined)).toBe(true)
  })

  it('Holm: adjusted p values', () => {
    expectAllNear(holm(golden.holm.p), golden.holm.adjusted)
  })

  it('percentiles interpolate as numpy does', () => {
    const { values, at, expected } = golden.percentile
    expectAllNear(
      at.map((q) => percentile(values, q)),
      expected,
    )
  })
})
