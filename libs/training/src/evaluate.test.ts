import { describe, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { TRAINED_MODES } from '#libs/experiments'
import { backboneInitialState } from '#libs/msn'
import { initDraws } from './draws.ts'
import { SpecError, StoppedError } from './errors.ts'
import { type EvaluateLoop, evaluate } from './evaluate.ts'
import { msnLearner } from './msn-learner.ts'
import { commitRandomInit } from './random-init.ts'
import { madeSplit, memoryCheckpoints, memoryMetrics, miniEvaluateSpec, miniSpec } from './testing.ts'

const { backbone } = miniSpec()

function loopOf(over: Partial<EvaluateLoop> = {}): EvaluateLoop {
  const split = (name: 'train' | 'validation' | 'test', images: number) => madeSplit(name, images, backbone.imagePx)
  return {
    spec: miniEvaluateSpec(),
    backbone,
    weights: backboneInitialState(backbone, initDraws(5)),
    executor: createExecutor('onnx', { threads: 2 }),
    source: { train: split('train', 43), validation: split('validation', 13), test: split('test', 21) },
    metrics: memoryMetrics(),
    control: { stopRequested: () => false, now: () => performance.now() },
    ...over,
  }
}

describe('an evaluation', () => {
  it.each(TRAINED_MODES)('in mode %s learns a label that is plain to see, on every image of every split', async (mode) => {
    const optimiser = { ...miniEvaluateSpec().optimiser, lr: 1e-2 }
    const { results, scores, summary } = await evaluate(loopOf({ spec: miniEvaluateSpec({ mode, optimiser }) }))
    expect(scores).toHaveLength(21)
    expect(summary).toMatchObject({ trainImages: 43, validationImages: 13, testImages: 21 })
    const macro = results.find(({ label, metric }) => label === 'macro' && metric === 'auroc')!
    expect(macro.value).toBeGreaterThan(0.9)
    expect(macro.low!).toBeLessThanOrEqual(macro.value)
    expect(macro.high!).toBeGreaterThanOrEqual(macro.value)
  })

  it('gives the same numbers again for the same seed, and others for another', async () => {
    const once = await evaluate(loopOf())
    expect((await evaluate(loopOf())).scores).toEqual(once.scores)
    expect((await evaluate(loopOf({ spec: miniEvaluateSpec({ seed: 6 }) }))).scores).not.toEqual(once.scores)
  })

  it('has nothing to measure where the test split has one class only', async () => {
    const loop = loopOf()
    loop.source.test.labels.fill(1)
    await expect(evaluate(loop)).rejects.toThrow(SpecError)
  })

  it('stops when asked', async () => {
    const control = { stopRequested: () => true, now: () => 0 }
    await expect(evaluate(loopOf({ control }))).rejects.toThrow(StoppedError)
  })
})

it('random initialisation commits exactly the backbone that MSN of the same seed starts from', async () => {
  const spec = miniSpec()
  const checkpoints = memoryCheckpoints()
  await commitRandomInit({ kind: 'pretrain', method: 'none', seed: spec.seed, backbone: spec.backbone }, checkpoints)
  const { tensors } = await checkpoints.load('final')
  const start = msnLearner(spec).initialState()
  expect(Object.keys(tensors).length).toBeGreaterThan(20)
  for (const [name, { data }] of Object.entries(tensors)) expect(data, name).toEqual(start[name])
})
