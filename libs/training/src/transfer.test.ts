import { describe, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { presetTransfer, type TrainedMode } from '#libs/experiments'
import { backboneInitialState, type StateArrays } from '#libs/msn'
import { initDraws } from './draws.ts'
import { ArtifactMismatchError, SpecError } from './errors.ts'
import { evaluate } from './evaluate.ts'
import { madeSplit, memoryMetrics, miniEvaluateSpec, miniSpec } from './testing.ts'
import { type Transfer, transfer } from './transfer.ts'

const { backbone } = miniSpec()
const control = { stopRequested: () => false, now: () => performance.now() }
const split = (name: 'train' | 'validation' | 'test', images: number) => madeSplit(name, images, backbone.imagePx)
const pretrained = backboneInitialState(backbone, initDraws(5))

/** A classifier trained in `mode` and its own test scores. */
async function trained(mode: TrainedMode) {
  const optimiser = { ...miniEvaluateSpec().optimiser, lr: 1e-2 }
  const source = { train: split('train', 43), validation: split('validation', 13), test: split('test', 21) }
  const outcome = await evaluate({
    spec: miniEvaluateSpec({ mode, optimiser }),
    backbone,
    weights: pretrained,
    executor: createExecutor('onnx', { threads: 2 }),
    source,
    metrics: memoryMetrics(),
    control,
  })
  const weights: StateArrays = Object.fromEntries(
    Object.entries(outcome.classifier).flatMap(([name, { data }]) => (name.startsWith('backbone.') ? [[name, data]] : [])),
  )
  const { 'head.weight': weight, 'head.bias': bias } = outcome.classifier
  return { outcome, weights, head: { labels: outcome.labels, weight: weight!.data, bias: bias!.data }, test: source.test }
}

function transferOf(over: Partial<Transfer>): Transfer {
  const spec = presetTransfer('tiny-cpu', {
    dataset: 'elsewhere',
    trainedOn: { dataset: 'made', mode: 'linear' },
    labels: 'sex',
    labelFraction: 1,
    seed: 5,
  })
  return {
    spec: { ...spec, batch: 8, bootstrap: { ...spec.bootstrap, resamples: 20 } },
    backbone,
    weights: pretrained,
    head: { labels: ['male'], weight: new Float32Array(backbone.dim), bias: new Float32Array(1) },
    executor: createExecutor('onnx', { threads: 2 }),
    test: split('test', 21),
    control,
    ...over,
  }
}

describe('a transfer', () => {
  it.each(['linear-cached', 'finetune'] as const)('of a %s classifier scores as that classifier itself does', async (mode) => {
    const { outcome, weights, head, test } = await trained(mode)
    expect(Object.keys(weights).length > 0).toBe(mode === 'finetune')
    const tested = await transfer(transferOf({ head, test, weights: mode === 'finetune' ? weights : pretrained }))
    expect(tested.scores).toEqual(outcome.scores)
    expect(tested.results).toEqual(outcome.results)
    expect(tested.summary).toMatchObject({ testImages: 21 })
  })

  it('in micro-batches gives the same scores', async () => {
    const head = { labels: ['male'], weight: new Float32Array(backbone.dim).fill(0.1), bias: Float32Array.of(0.2) }
    const whole = transferOf({ head })
    const parts = await transfer({ ...whole, spec: { ...whole.spec, microBatch: 3 } })
    const expected = await transfer(whole)
    parts.scores.forEach((score, i) => {
      expect(score).toBeCloseTo(expected.scores[i]!, 5)
    })
  })

  it('is refused where labels, head or test split do not fit', async () => {
    const other = { ...transferOf({}).head, labels: ['AP'] }
    await expect(transfer(transferOf({ head: other }))).rejects.toThrow('data set elsewhere has other labels than made')
    await expect(transfer(transferOf({ head: other }))).rejects.toThrow(SpecError)
    const short = { labels: ['male'], weight: new Float32Array(3), bias: new Float32Array(1) }
    await expect(transfer(transferOf({ head: short }))).rejects.toThrow(ArtifactMismatchError)
    const test = split('test', 21)
    test.labels.fill(1)
    await expect(transfer(transferOf({ test }))).rejects.toThrow('no label has both')
  })
})
