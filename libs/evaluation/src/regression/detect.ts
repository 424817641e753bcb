import { EvaluationInputError } from '../errors.ts'
import { percentile } from '../percentile.ts'

/** One metric of one night: a value for each seed that gave one. */
export type Night = readonly number[]

/** Nights that a baseline holds. */
export const BASELINE_NIGHTS = 28
/** Nights that a drift is sought in. They lie after its baseline, which would else follow the drift. */
export const DRIFT_NIGHTS = 14
/** CUSUM's allowance, in sigma: half of the smallest lasting shift that matters (Page 1954). */
const ALLOWANCE = 0.5
/** A single night adds no more sigma than this to CUSUM: one outlier is no drift. */
const MOST_A_NIGHT = 3
/** No sigma is smaller than this part of the median: where numbers repeat exactly, MAD is 0 and any rounding would be a regression. */
const LEAST_RELATIVE_SIGMA = 1e-3

export interface Baseline {
  /** Median over nights of the nights' means over seeds. */
  readonly median: number
  /** Spread of a night's mean: the larger of 1.4826 MAD over nights and of what the seeds' spread explains. */
  readonly sigma: number
}

/** Limits in sigma; see quietLimits. */
export interface RegressionLimits {
  readonly drop: number
  readonly drift: number
}

export interface RegressionVerdict {
  /** Sigma by which tonight is worse than the nights before it, and the CUSUM of the last nights. */
  readonly worse: number
  readonly cusum: number
  readonly alarms: readonly ('drop' | 'drift')[]
  /** Index of the first night of the drop or drift; null without an alarm. The cause lies between it and the night before. */
  readonly since: number | null
}

/** Nights that a verdict needs, tonight included. */
export const NIGHTS_NEEDED = BASELINE_NIGHTS + DRIFT_NIGHTS

/**
 * Judges the last of some nights against those before it: a single drop by its distance from the median, a drift by a one-sided
 * CUSUM. Null while there are fewer than NIGHTS_NEEDED nights.
 * @param nights oldest first, without nights that gave no value.
 * @param better the direction that is no regression: `higher` for AUROC and images/s, `lower` for loss and step time.
 * @throws EvaluationInputError for a night without a value or with one that is not finite.
 */
export function judgeTonight(
  nights: readonly Night[],
  better: 'higher' | 'lower',
  limits: RegressionLimits,
): RegressionVerdict | null {
  const means = nights.map(meanOfNight)
  if (nights.length < NIGHTS_NEEDED) return null
  const tonight = nights.length - 1
  const sign = better === 'higher' ? -1 : 1
  const near = baselineOf(nights.slice(tonight - BASELINE_NIGHTS, tonight))
  const driftStart = nights.length - DRIFT_NIGHTS
  const far = baselineOf(nights.slice(driftStart - BASELINE_NIGHTS, driftStart))
  const worseThan = (baseline: Baseline, night: number) => (sign * (means[night]! - baseline.median)) / baseline.sigma

  let cusum = 0
  let driftSince = driftStart
  for (let night = driftStart; night <= tonight; night++) {
    if (cusum === 0) driftSince = night
    cusum = Math.max(0, cusum + Math.min(worseThan(far, night), MOST_A_NIGHT) - ALLOWANCE)
  }
  const worse = worseThan(near, tonight)
  let dropSince = tonight
  while (dropSince > tonight - DRIFT_NIGHTS && worseThan(near, dropSince - 1) > limits.drop) dropSince--

  const dropped = worse > limits.drop
  const drifted = cusum > limits.drift
  return {
    worse,
    cusum,
    alarms: [...(dropped ? (['drop'] as const) : []), ...(drifted ? (['drift'] as const) : [])],
    since: dropped ? dropSince : drifted ? driftSince : null,
  }
}

/** Median and robust spread of nights; sigma is that of a night's mean over its seeds. */
export function baselineOf(nights: readonly Night[]): Baseline {
  const means = nights.map(meanOfNight)
  const median = percentile(means, 0.5)
  const mad = percentile(
    means.map((mean) => Math.abs(mean - median)),
    0.5,
  )
  const sigma = Math.max(1.4826 * mad, sigmaFromSeeds(nights), LEAST_RELATIVE_SIGMA * Math.abs(median), Number.MIN_VALUE)
  return { median, sigma }
}

/** Sigma of a mean over seeds if nights draw seeds anew: from the median distance of two seeds of a night, .6745 sqrt(2) sigma for normal values. */
function sigmaFromSeeds(nights: readonly Night[]): number {
  const distances = nights.flatMap((night) => night.flatMap((a, i) => night.slice(i + 1).map((b) => Math.abs(a - b))))
  if (distances.length === 0) return 0
  const seeds = percentile(
    nights.map((night) => night.length),
    0.5,
  )
  return percentile(distances, 0.5) / (0.67449 * Math.SQRT2 * Math.sqrt(seeds))
}

function meanOfNight(night: Night, index: number): number {
  const mean = night.reduce((sum, value) => sum + value, 0) / night.length
  if (!Number.isFinite(mean)) throw new EvaluationInputError(`night ${index + 1} has no value, or one that is not finite`)
  return mean
}
