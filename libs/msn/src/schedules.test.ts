import { describe, expect, it } from 'vitest'
import { learningRate, msnScalars, targetMomentum, weightDecay } from './schedules.ts'
import { miniConfig } from './testing.ts'

const at = (step: number) => ({ step, epoch: Math.floor(step / 10), stepsPerEpoch: 10 })

describe('schedules', () => {
  it('by epoch stay constant within an epoch', () => {
    const { lr } = miniConfig.optimiser
    expect(learningRate(lr, 4, at(10))).toBe(learningRate(lr, 4, at(19)))
    expect(learningRate(lr, 4, at(20))).toBeLessThan(learningRate(lr, 4, at(19)))
  })

  it('by step warm up without losing the first step, reach the peak, and never fall below the final value', () => {
    const lr = { start: 0, peak: 1, final: 0.1, warmupEpochs: 1, stretch: 1, granularity: 'step' as const }
    expect(learningRate(lr, 4, at(0))).toBeCloseTo(0.1, 12)
    expect(learningRate(lr, 4, at(9))).toBeCloseTo(1, 12)
    expect(learningRate(lr, 4, at(39))).toBeCloseTo(0.1, 12)
  })

  it('of weight decay and momentum are exactly constant where start and end are the same', () => {
    expect(weightDecay(miniConfig.optimiser, 4, at(17))).toBe(1e-3)
    expect(targetMomentum(miniConfig.target, 4, at(17))).toBe(0.9)
  })

  it('hand the complement of the momentum over in doubles', () => {
    const config = { ...miniConfig, target: { ...miniConfig.target, momentum: [0.996, 1] as const } }
    const { momentum, targetMix } = msnScalars(config, at(7))
    expect(momentum).toBeCloseTo(0.996 + (0.004 * 7) / 40, 12)
    expect(targetMix).toBe(1 - momentum)
  })
})
