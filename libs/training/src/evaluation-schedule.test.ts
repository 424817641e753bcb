import { describe, expect, it } from 'vitest'
import type { EvaluateSpec } from '#libs/experiments'
import { afterEpoch, type EvaluationProgress, startOf, stopsEarly } from './evaluation-schedule.ts'

const specWith = (schedule: EvaluateSpec['optimiser']['schedule']): EvaluateSpec =>
  ({
    epochs: 4,
    earlyStopPatience: 2,
    optimiser: { lr: 0.1, schedule, plateauFactor: 0.5, plateauPatience: 1 },
  }) as EvaluateSpec

function follow(spec: EvaluateSpec, values: number[]): EvaluationProgress[] {
  const steps = [startOf(spec)]
  values.forEach((value, epoch) => {
    steps.push(afterEpoch(spec, steps.at(-1)!, epoch, value))
  })
  return steps
}

describe('evaluation schedule', () => {
  it('follows the cosine by epoch down to zero', () => {
    const rates = follow(specWith('cosine-epoch'), [0.5, 0.6, 0.7, 0.8]).map((p) => p.learningRate)
    expect(rates[0]).toBe(0.1)
    expect(rates[2]).toBeCloseTo(0.05, 12)
    expect(rates[4]).toBeCloseTo(0, 12)
  })

  it('halves the rate on a plateau once the patience is used up, and counts again from there', () => {
    const rates = follow(specWith('plateau'), [0.9, 0.8, 0.8, 0.8, 0.8]).map((p) => p.learningRate)
    expect(rates).toEqual([0.1, 0.1, 0.1, 0.05, 0.05, 0.025])
  })

  it('remembers the best epoch and stops when the patience is over', () => {
    const spec = specWith('constant')
    const steps = follow(spec, [0.7, 0.8, 0.75, 0.79])
    expect(steps.at(-1)).toMatchObject({ bestEpoch: 1, bestValue: 0.8, sinceBest: 2 })
    expect(steps.map((p) => stopsEarly(spec, p))).toEqual([false, false, false, false, true])
  })

  it('takes the last epoch where validation has no label with both classes', () => {
    const spec = specWith('constant')
    const last = follow(spec, [Number.NaN, Number.NaN, Number.NaN]).at(-1)!
    expect(last.bestEpoch).toBe(2)
    expect(stopsEarly(spec, last)).toBe(false)
  })
})
