import { describe, expect, it } from 'vitest'
import {
  backboneInitialState,
  backboneOf,
  classifierScalars,
  featuresStep,
  finetuneInitialState,
  finetuneStep,
  headScoresStep,
  linearHeadInitialState,
  linearHeadStep,
} from './classify.ts'
import { msnInitialState } from './msn-step.ts'
import { patchesOfGrey } from './patches.ts'
import type { StateArrays } from './step.ts'
import { drawsFor, miniConfig, noiseImages, runStep } from './testing.ts'

const adam = { betas: [0.9, 0.999] as const, eps: 1e-8 }
const scalars = (step: number, lr = 0.05) => classifierScalars({ lr, weightDecay: 0, betas: adam.betas, step })
const { backbone, normalisation } = miniConfig
const patches = (rows: number): Float32Array => patchesOfGrey(noiseImages('classify', rows, 16), 4, normalisation, null)

function noise(length: number, key: string): Float32Array {
  const uniform = drawsFor(key)
  return Float32Array.from({ length }, () => 2 * uniform() - 1)
}

describe('a linear head', () => {
  const start = linearHeadInitialState(3, 2, drawsFor)
  const step = (batch: number) => linearHeadStep({ ...adam, dim: 3, labels: 2, batch })
  const features = noise(12, 'features')
  const targets = Float32Array.from([1, 0, 0, 1, 1, 1, 0, 0])

  it('starts its loss at the binary cross-entropy of its logits, meaned over the weights', () => {
    const { logits } = runStep(headScoresStep({ dim: 3, labels: 2, batch: 4 }), start, { features }).outputs
    const weights = Float32Array.from([1, 1, 0, 1, 1, 0, 1, 1])
    const entries = [...logits!].map((x, i) => -Math.log(1 / (1 + Math.exp(targets[i]! === 1 ? -x : x))) * weights[i]!)
    const { loss } = runStep(step(4), start, { features, targets, weights }, scalars(0)).outputs
    expect(loss![0]).toBeCloseTo(entries.reduce((a, b) => a + b, 0) / 6, 5)
  })

  it('is updated by a padded batch exactly as by the short one', () => {
    const padded = { features, targets, weights: Float32Array.from([1, 1, 1, 1, 0, 0, 0, 0]) }
    const short = { features: features.slice(0, 6), targets: targets.slice(0, 4), weights: new Float32Array(4).fill(1) }
    const a = runStep(step(4), start, padded, scalars(0))
    const b = runStep(step(2), start, short, scalars(0))
    expect(a.outputs.loss![0]).toBeCloseTo(b.outputs.loss![0]!, 6)
    for (const [name, values] of Object.entries(b.state)) {
      values.forEach((value, i) => {
        expect(Math.abs(value - a.state[name]![i]!), name).toBeLessThan(1e-6)
      })
    }
  })

  it('does not look at the target of an entry without weight, and stays still without any weight', () => {
    const weights = Float32Array.from([1, 0, 1, 1, 1, 1, 1, 1])
    const other = targets.slice()
    other[1] = 1
    const run = (targets: Float32Array, weights: Float32Array): StateArrays =>
      runStep(step(4), start, { features, targets, weights }, scalars(0)).state
    expect(run(other, weights)).toEqual(run(targets, weights))
    expect(run(targets, new Float32Array(8))).toEqual(start)
  })

  it('learns what a line separates', () => {
    const many = noise(64 * 3, 'many')
    const labels = Float32Array.from({ length: 128 }, (_, i) => {
      const [x, y, z] = many.subarray(3 * Math.floor(i / 2)) as unknown as [number, number, number]
      return (i % 2 === 0 ? x + y : z - x) > 0 ? 1 : 0
    })
    const batch = { features: many, targets: labels, weights: new Float32Array(128).fill(1) }
    let state = start
    for (let n = 0; n < 150; n++) state = runStep(step(64), state, batch, scalars(n, 0.1)).state
    const { scores } = runStep(headScoresStep({ dim: 3, labels: 2, batch: 64 }), state, { features: many }).outputs
    const right = [...scores!].filter((score, i) => score > 0.5 === (labels[i] === 1)).length
    expect(right).toBeGreaterThan(120)
  })

  it('scores extreme logits without overflow', () => {
    const state = { 'head.weight': Float32Array.from([1000, 0, 0, -1000, 0, 0]), 'head.bias': new Float32Array(2) }
    const head = headScoresStep({ dim: 3, labels: 2, batch: 1 })
    const features = Float32Array.from([1, 0, 0])
    expect([...runStep(head, state, { features }).outputs.scores!]).toEqual([1, 0])
    const arrays = { features, targets: Float32Array.from([0, 0]), weights: new Float32Array(2).fill(1) }
    const moments = { ...linearHeadInitialState(3, 2, drawsFor), ...state }
    expect(runStep(step(1), moments, arrays, scalars(0)).outputs.loss![0]).toBe(500)
  })
})

describe('a backbone', () => {
  it('gives the same features as the fine-tuned network before its first update', () => {
    const pretrained = backboneInitialState(backbone, drawsFor)
    const start = finetuneInitialState(backbone, 2, pretrained, drawsFor)
    const { features } = runStep(featuresStep(backbone, 3), pretrained, { patches: patches(3) }).outputs
    const { logits } = runStep(headScoresStep({ dim: 8, labels: 2, batch: 3 }), start, { features: features! }).outputs
    const targets = Float32Array.from([1, 0, 1, 1, 0, 0])
    const expected = [...logits!].reduce((sum, x, i) => sum + Math.log(1 + Math.exp(targets[i] === 1 ? -x : x)), 0) / 6
    const step = finetuneStep(backbone, { ...adam, labels: 2, batch: 3 })
    const batch = { patches: patches(3), targets, weights: new Float32Array(6).fill(1) }
    expect(runStep(step, start, batch, scalars(0)).outputs.loss![0]).toBeCloseTo(expected, 5)
  })

  it('is trained with its head in fine-tuning, and the loss falls', () => {
    const pretrained = backboneInitialState(backbone, drawsFor)
    const start = finetuneInitialState(backbone, 2, pretrained, drawsFor)
    const step = finetuneStep(backbone, { ...adam, labels: 2, batch: 3 })
    const batch = { patches: patches(3), targets: Float32Array.from([1, 0, 1, 1, 0, 0]), weights: new Float32Array(6).fill(1) }
    let state = start
    const losses = Array.from({ length: 25 }, (_, n) => {
      const result = runStep(step, state, batch, scalars(n, 0.01))
      state = result.state
      return result.outputs.loss![0]!
    })
    expect(losses[24]).toBeLessThan(losses[0]! / 2)
    for (const name of Object.keys(pretrained)) expect(state[name], name).not.toEqual(pretrained[name])
    expect(pretrained['backbone.cls_token']).toEqual(start['backbone.cls_token'])
  })

  it('of an MSN state is found without head, EHR layers or statistics, for either network', () => {
    const state = msnInitialState(miniConfig, drawsFor)
    state['target.cls_token']!.fill(7)
    const names = Object.keys(featuresStep(backbone, 1).signature.state).sort()
    for (const network of ['target', 'online'] as const) expect(Object.keys(backboneOf(state, network)).sort()).toEqual(names)
    expect(backboneOf(state, 'target')['backbone.cls_token']![0]).toBe(7)
    expect(backboneOf(state, 'online')['backbone.cls_token']![0]).not.toBe(7)
  })

  it('without pretraining starts as a pretraining with the same draws does', () => {
    const pretraining = backboneOf(msnInitialState(miniConfig, drawsFor), 'online')
    expect(backboneInitialState(backbone, drawsFor)).toEqual(pretraining)
  })
})

it.each([1, 3, 4])('fine-tuning in micro-batches of %i images gives the update of the whole batch of four', (microBatch) => {
  const config = { ...adam, labels: 2, batch: 4 }
  const start = finetuneInitialState(backbone, 2, backboneInitialState(backbone, drawsFor), drawsFor)
  const targets = Float32Array.from([1, 0, 0, 1, 1, 1, 0, 0])
  const arrays = { patches: patches(4), targets, weights: Float32Array.from([1, 1, 1, 0, 1, 1, 1, 1]) }
  const whole = runStep(finetuneStep(backbone, config), start, arrays, scalars(0, 1e-3))
  const split = runStep(finetuneStep(backbone, { ...config, microBatch }), start, arrays, scalars(0, 1e-3))
  expect(split.outputs.loss![0]).toBeCloseTo(whole.outputs.loss![0]!, 6)
  for (const [name, values] of Object.entries(whole.state).filter(([name]) => name.startsWith('adam.m.'))) {
    values.forEach((value, i) => {
      expect(Math.abs(split.state[name]![i]! - value), name).toBeLessThan(1e-6)
    })
  }
})
