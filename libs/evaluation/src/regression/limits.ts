import { percentile } from '../percentile.ts'
import type { Uniform } from '../resampling.ts'
import { judgeTonight, NIGHTS_NEEDED, type RegressionLimits } from './detect.ts'

/** Drops' part of all false alarms. */
const DROP_SHARE = 0.75

/**
 * The limits that quiet nights pass with a given probability, from simulated histories of normal values. Drops take
 * DROP_SHARE of it, since one night has to do for them, and drifts the rest; it is divided by the metrics, so that it bounds the
 * chance of any alarm in a night (Boole's inequality).
 * @param falseAlarms share of quiet nights with an alarm, such as .01.
 * @param seeds values a night has: with more of them sigma is known better, and the limits are lower.
 * @param uniform draws in [0, 1): the same stream gives the same limits.
 * @param histories simulated; the tail that the limit is read from holds `histories * falseAlarms / metrics / 4` of them.
 */
export function quietLimits(
  { falseAlarms, metrics, seeds }: { falseAlarms: number; metrics: number; seeds: number },
  uniform: Uniform,
  histories: number,
): RegressionLimits {
  const drop = new Float64Array(histories)
  const drift = new Float64Array(histories)
  const none = { drop: Number.POSITIVE_INFINITY, drift: Number.POSITIVE_INFINITY }
  for (let i = 0; i < histories; i++) {
    // Far from 0, so that the least relative sigma of a baseline plays no part.
    const nights = Array.from({ length: NIGHTS_NEEDED }, () => Array.from({ length: seeds }, () => 100 + normal(uniform)))
    const verdict = judgeTonight(nights, 'lower', none)!
    drop[i] = verdict.worse
    drift[i] = verdict.cusum
  }
  const share = falseAlarms / metrics
  return { drop: percentile(drop, 1 - share * DROP_SHARE), drift: percentile(drift, 1 - share * (1 - DROP_SHARE)) }
}

const normal = (uniform: Uniform) => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
