/** What a tested classifier leaves behind, whoever trained it. */
import { bootstrapMetrics } from '#libs/evaluation'
import type { EvaluationSpec } from '#libs/experiments'
import { drawsOf } from './draws.ts'
import { SpecError } from './errors.ts'
import type { EvaluationSplit, ResultRow } from './ports.ts'

export interface TestReport {
  readonly results: readonly ResultRow[]
  /** Labels that the test split cannot measure, joined by commas. */
  readonly leftOutLabels: string
}

/** A split with its scores [images, labels], as the metrics take it. */
export const labelled = (split: EvaluationSplit, scores: Float32Array) => ({
  labelNames: split.labelNames,
  labels: split.labels,
  scores,
  patients: split.patients,
})

/** @throws SpecError where the split has no image, or no label with both classes: there is nothing to measure */
export function checkMeasurable(test: EvaluationSplit): void {
  if (test.images === 0) throw new SpecError(`the ${test.split} split has no image`, { field: 'dataset' })
  const labels = test.labelNames.length
  const bothClasses = test.labelNames.some((_, label) => {
    const values = new Set(Array.from({ length: test.images }, (_, image) => test.labels[image * labels + label]))
    return values.has(0) && values.has(1)
  })
  if (!bothClasses) throw new SpecError('no label has both a positive and a negative in the test split', { field: 'labels' })
}

/** Metrics of the test split with their bootstrap intervals. */
export function reportOf(
  test: EvaluationSplit,
  scores: Float32Array,
  spec: Pick<EvaluationSpec, 'bootstrap' | 'seed'>,
): TestReport {
  const { rows, leftOut } = bootstrapMetrics(
    labelled(test, scores),
    spec.bootstrap,
    drawsOf({ seed: spec.seed, purpose: 'bootstrap' }),
  )
  return { results: rows, leftOutLabels: leftOut.join(', ') }
}
