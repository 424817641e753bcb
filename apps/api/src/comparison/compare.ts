/**
 * Two evaluations on the same test images, compared: the difference of their metrics with a paired bootstrap by patient, and
 * DeLong's test for each label, corrected for their number (Holm). Pure: predictions in, sums out.
 */
import { decodeSafetensors } from '#libs/artifacts'
import {
  bootstrapDifference,
  delong,
  EvaluationInputError,
  holm,
  type LabelledScores,
  MACRO,
  type Metric,
} from '#libs/evaluation'
import { ArtifactMismatchError, drawsOf } from '#libs/training'

/** `predictions.safetensors` of a run: scores and labels [images, labels], patients [images], names in the metadata. */
interface Predictions extends LabelledScores {
  /** Anonymous keys of the images, in order. */
  readonly samples: readonly string[]
}

export interface ComparedRow {
  /** `macro` first, then each label that both classes occur in. */
  readonly label: string
  readonly metric: Metric
  /** First minus second. */
  readonly difference: number
  readonly low: number | null
  readonly high: number | null
  /** Two-sided, of the bootstrap. */
  readonly p: number | null
  /** Of DeLong's test, AUROC of a label only; images count as independent. */
  readonly delong: { readonly first: number; readonly second: number; readonly p: number; readonly holm: number } | null
}

export interface Comparison {
  readonly images: number
  readonly patients: number
  readonly rows: readonly ComparedRow[]
}

export interface ComparisonInput {
  readonly first: Uint8Array
  readonly second: Uint8Array
  readonly resamples: number
}

const CONFIDENCE = 0.95

/** @throws EvaluationInputError where the two were not tested on the same images and labels, ArtifactMismatchError for a broken file. */
export function compare({ first, second, resamples }: ComparisonInput): Comparison {
  const [a, b] = [readPredictions(first, 'the first predictions'), readPredictions(second, 'the second predictions')]
  if (a.samples.length !== b.samples.length || a.samples.some((sample, i) => sample !== b.samples[i])) {
    throw new EvaluationInputError('the two models were not tested on the same images in the same order')
  }
  const options = { resamples, by: 'patient', confidence: CONFIDENCE } as const
  const differences = bootstrapDifference(a, b, options, drawsOf({ seed: 0, purpose: 'compare' }))
  const tests = testsByLabel(a, b)
  return {
    images: a.samples.length,
    patients: new Set(Array.from(a.patients)).size,
    rows: differences.map(({ label, metric, value, low, high, p }) => ({
      label,
      metric,
      difference: value,
      low,
      high,
      p,
      delong: metric === 'auroc' && label !== MACRO ? (tests.get(label) ?? null) : null,
    })),
  }
}

function testsByLabel(first: LabelledScores, second: LabelledScores): ReadonlyMap<string, NonNullable<ComparedRow['delong']>> {
  const { labelNames } = first
  const found = labelNames.flatMap((label, index) => {
    const column = (matrix: ArrayLike<number>) =>
      Float64Array.from(first.patients, (_, image) => matrix[image * labelNames.length + index] ?? 0)
    const test = delong(column(first.labels), column(first.scores), column(second.scores))
    return test === null ? [] : [{ label, first: test.aurocFirst, second: test.aurocSecond, p: test.p }]
  })
  const corrected = holm(found.map(({ p }) => p))
  return new Map(found.map(({ label, ...test }, i) => [label, { ...test, holm: corrected[i] ?? test.p }]))
}

function readPredictions(bytes: Uint8Array, what: string): Predictions {
  const { tensors, metadata } = decodeSafetensors(bytes, what)
  const { scores, labels, patients } = tensors
  if (!scores || !labels || !patients || metadata.labels === undefined || metadata.samples === undefined) {
    throw new ArtifactMismatchError(`${what} lack scores, labels, patients or their names`)
  }
  return {
    labelNames: JSON.parse(metadata.labels) as string[],
    samples: JSON.parse(metadata.samples) as string[],
    scores: scores.data,
    labels: labels.data,
    patients: patients.data,
  }
}
