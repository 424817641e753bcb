/**
 * One label's scores, sorted once. Both metrics, and every bootstrap resample of them, are then one pass over the order.
 */
import { EvaluationInputError } from './errors.ts'

/** Marks a cell of the label matrix that counts neither as positive nor as negative. */
export const IGNORED = 255

/** Rows of one label by falling score; ignored rows are left out. */
export interface Ranking {
  /** [n] row in the caller's arrays. */
  readonly rows: Int32Array
  /** [n] 1 where the row is positive. */
  readonly positive: Uint8Array
  /** [n] 1 at the last row of a run of equal scores: a threshold can only lie there. */
  readonly closesTie: Uint8Array
}

/** Metrics of one label; null where a sample has no positive or no negative. */
export interface LabelMetrics {
  readonly auroc: number
  readonly auprc: number
}

function checkedRows(labels: ArrayLike<number>, scores: ArrayLike<number>): number[] {
  if (labels.length !== scores.length) throw new EvaluationInputError(`${labels.length} labels, but ${scores.length} scores`)
  const rows: number[] = []
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row]!
    if (label === IGNORED) continue
    if (label !== 0 && label !== 1) throw new EvaluationInputError(`a label is neither 0 nor 1 nor ${IGNORED} (ignored)`)
    if (Number.isNaN(scores[row]!)) throw new EvaluationInputError('a score is not a number')
    rows.push(row)
  }
  return rows
}

/**
 * Sorts one label's rows by falling score.
 * @param labels [n] 0, 1 or 255 (ignored).
 * @param scores [n] any real numbers; only their order counts.
 * @throws EvaluationInputError on other labels, NaN scores or unequal lengths.
 */
export function rank(labels: ArrayLike<number>, scores: ArrayLike<number>): Ranking {
  const rows = Int32Array.from(checkedRows(labels, scores)).sort((a, b) => {
    const [first, second] = [scores[a]!, scores[b]!]
    return first < second ? 1 : first > second ? -1 : 0
  })
  const positive = new Uint8Array(rows.length)
  const closesTie = new Uint8Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    positive[i] = labels[row]!
    const next = rows[i + 1]
    closesTie[i] = next !== undefined && scores[next] === scores[row] ? 0 : 1
  }
  return { rows, positive, closesTie }
}

/**
 * AUROC (Mann-Whitney, ties count one half) and average precision (the sum of (R_n - R_n-1) P_n over distinct thresholds,
 * tied scores entering together: as scikit-learn) in one pass.
 * @param weights how often each of the caller's rows is in the sample; left out, each is in it once.
 * @returns null where the sample has no positive or no negative.
 */
export function metricsOf({ rows, positive, closesTie }: Ranking, weights?: Uint16Array): LabelMetrics | null {
  let truePositives = 0
  let falsePositives = 0
  let tiePositives = 0
  let tieNegatives = 0
  let pairsWon = 0
  let precisionSum = 0
  for (let i = 0; i < rows.length; i++) {
    const weight = weights === undefined ? 1 : weights[rows[i]!]!
    if (positive[i] === 1) tiePositives += weight
    else tieNegatives += weight
    if (closesTie[i] === 0) continue
    pairsWon += tieNegatives * (truePositives + tiePositives / 2)
    truePositives += tiePositives
    falsePositives += tieNegatives
    if (tiePositives > 0) precisionSum += (tiePositives * truePositives) / (truePositives + falsePositives)
    tiePositives = 0
    tieNegatives = 0
  }
  if (truePositives === 0 || falsePositives === 0) return null
  return { auroc: pairsWon / (truePositives * falsePositives), auprc: precisionSum / truePositives }
}
