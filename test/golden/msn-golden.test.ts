import { describe, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { learningRate, msnScalars, resamplingMatrix } from '#libs/msn'
import { fill } from './filler.ts'
import { checkCase, goldenCases, microBatchCases } from './msn-cases.ts'
import { originalConfig, paperConfig } from './msn-configs.ts'
import { original } from './msn-golden-files.ts'

describe('the eager engine gives the golden numbers', () => {
  const executor = createExecutor('eager', { threads: 1 })
  it.each(goldenCases().map((golden) => [golden.name, golden] as const))('%s', async (_, golden) => {
    expect((await checkCase(golden, executor)).share).toBeLessThanOrEqual(1)
  })

  it.each(microBatchCases().map((golden) => [golden.name, golden] as const))('in micro-batches: %s', async (_, golden) => {
    expect((await checkCase(golden, executor)).share).toBeLessThanOrEqual(1)
  })
})

describe('golden numbers without tensors', () => {
  it('the filler gives the documented values', () => {
    const expected = [0.0084840646, 0.4097665274, -0.8989127427, -0.2609632914, 0.5495259249, 0.1123771411]
    fill({ shape: [2, 3], seed: 1, scale: 1 }).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 7)
    })
  })

  it.each(original.positionMatrices.map((golden) => [golden.from, golden.to, golden] as const))(
    'positions of a grid of %i resampled to %i',
    (from, to, golden) => {
      const matrix = resamplingMatrix(from, to)
      golden.matrix.flat().forEach((value, i) => {
        expect(Math.abs(matrix[i]! - value)).toBeLessThan(1e-10)
      })
      expect(matrix).toHaveLength(golden.matrix.flat().length)
    },
  )

  it.each(original.schedules.map((golden, i) => [i, golden] as const))('schedules of preset msn, table %i', (_, golden) => {
    const config = {
      ...originalConfig,
      epochs: golden.epochs,
      target: { ...originalConfig.target, momentum: [golden.momentumStart, 1] as const, momentumStretch: golden.stretch },
      optimiser: {
        ...originalConfig.optimiser,
        lr: {
          start: golden.lrStart,
          peak: golden.lrRef,
          final: golden.lrFinal,
          warmupEpochs: golden.warmupEpochs,
          stretch: golden.stretch,
          granularity: 'step' as const,
        },
        weightDecay: { start: golden.wdStart, final: golden.wdFinal, skip1d: true },
      },
    }
    for (const row of golden.rows) {
      const at = { step: row.step, epoch: Math.floor(row.step / golden.itersPerEpoch), stepsPerEpoch: golden.itersPerEpoch }
      const { lr, wd, momentum } = msnScalars(config, at)
      expect(Math.abs(lr - row.lr)).toBeLessThan(1e-10)
      expect(Math.abs(wd - row.wd)).toBeLessThan(1e-10)
      expect(Math.abs(momentum - row.momentum)).toBeLessThan(1e-10)
    }
  })

  it('the training case meets the learning rate, weight decay and momentum of its file', () => {
    for (const row of original.training.steps) {
      const { lr, wd, momentum } = msnScalars(originalConfig, { step: row.step, epoch: 0, stepsPerEpoch: 4 })
      for (const [actual, expected] of [
        [lr, row.lr],
        [wd, row.wd],
        [momentum, row.momentum],
      ] as const) {
        expect(Math.abs(actual - expected)).toBeLessThan(1e-10)
      }
    }
  })

  it('the learning rate of preset paper, by epoch', () => {
    const { lr } = paperConfig(true, 'joint').optimiser
    const { epochs, rows } = original.schedulePaper
    for (const row of rows) {
      const at = { step: row.epoch * 10 + 9, epoch: row.epoch, stepsPerEpoch: 10 }
      expect(Math.abs(learningRate(lr, epochs, at) - row.lr)).toBeLessThan(1e-10)
    }
  })
})
