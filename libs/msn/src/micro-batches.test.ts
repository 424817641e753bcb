import { describe, expect, it } from 'vitest'
import type { MsnConfig } from './config.ts'
import { msnInitialState, msnProbeStep, msnTrainStep } from './msn-step.ts'
import { msnScalars } from './schedules.ts'
import type { StateArrays } from './step.ts'
import { drawsFor, farthest, miniConfig, noiseBatch, runStep } from './testing.ts'

const BATCH = 5
const perSize: MsnConfig = {
  ...miniConfig,
  ehr: null,
  head: { ...miniConfig.head, bnGroups: 'per-size' },
  prototypes: { count: 7, trainable: true },
  mask: { random: 0.25, focal: 0, shared: false },
}

/** Their gradient is zero on paper, and Adam turns its rounding into steps; a shift by `norm.bias` is in the running means. */
const WITHOUT_GRADIENT = /qkv\.bias$|^(online|target|adam\.[mv]|grad)\.(norm|ehr\.embed|ehr\.fuse)\.bias$|running_mean$/

function train(config: MsnConfig, steps: number): { state: StateArrays; losses: number[] } {
  const step = msnTrainStep(config, BATCH)
  let state = msnInitialState(config, drawsFor)
  const losses: number[] = []
  for (let n = 0; n < steps; n++) {
    const scalars = msnScalars(config, { step: n, epoch: 0, stepsPerEpoch: 10 })
    const result = runStep(step, state, noiseBatch(config, BATCH, `batch ${n}`), scalars)
    state = result.state
    losses.push(result.outputs.loss![0]!)
  }
  return { state, losses }
}

describe.each([
  ['with EHR and joint BatchNorm', miniConfig],
  ['vanilla, BatchNorm by size, trained prototypes', perSize],
] as const)('micro-batches, %s', (_, config) => {
  const probe = (microBatch: number | null): Record<string, Float32Array> => {
    const start = msnInitialState(config, drawsFor)
    const scalars = msnScalars(config, { step: 0, epoch: 0, stepsPerEpoch: 10 })
    return runStep(msnProbeStep({ ...config, microBatch }, BATCH), start, noiseBatch(config, BATCH, 'probe'), scalars).outputs
  }
  const whole = probe(null)

  it.each([1, 2, 3, 5, 9])('of %i images give loss, features and every gradient of the unsplit batch of five', (microBatch) => {
    const split = probe(microBatch)
    expect(Object.keys(split).sort()).toEqual(Object.keys(whole).sort())
    for (const [name, values] of Object.entries(whole)) {
      if (WITHOUT_GRADIENT.test(name)) continue
      const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3)
      expect(farthest(split[name]!, values) / scale, name).toBeLessThan(2e-5)
    }
  })

  it('train as the unsplit batch does over four steps', () => {
    const [one, many] = [train(config, 4), train({ ...config, microBatch: 2 }, 4)]
    one.losses.forEach((loss, i) => {
      expect(Math.abs(many.losses[i]! - loss)).toBeLessThan(5e-5)
    })
    for (const [name, values] of Object.entries(one.state)) {
      if (name.startsWith('adam.') || WITHOUT_GRADIENT.test(name)) continue
      expect(farthest(many.state[name]!, values), name).toBeLessThan(1e-4)
    }
  })
})

it.each([0, -1, 2.5])('%s images are no micro-batch', (microBatch) => {
  expect(() => msnTrainStep({ ...miniConfig, microBatch }, BATCH)).toThrow('microBatch')
})
