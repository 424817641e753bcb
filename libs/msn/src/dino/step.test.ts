import { describe, expect, it } from 'vitest'
import { MsnConfigError, MsnInputError } from '../errors.ts'
import type { StateArrays } from '../step.ts'
import { drawsFor, farthest, kernelsOf, LOWERED_KERNELS, miniDino, noiseDinoBatch, noiseImages, runStep } from '../testing.ts'
import { dinoBatch } from './batch.ts'
import type { DinoConfig } from './config.ts'
import { LAST_LAYER } from './head.ts'
import { dinoScalars } from './schedules.ts'
import { DINO_OUTPUTS, dinoInitialState, dinoTrainStep } from './step.ts'

const BATCH = 3
const STEPS_PER_EPOCH = 2

function train(config: DinoConfig, count: number): { states: StateArrays[]; outputs: Record<string, Float32Array>[] } {
  const step = dinoTrainStep(config, BATCH)
  const states = [dinoInitialState(config, drawsFor)]
  const outputs: Record<string, Float32Array>[] = []
  for (let n = 0; n < count; n++) {
    const position = { step: n, epoch: Math.floor(n / STEPS_PER_EPOCH), stepsPerEpoch: STEPS_PER_EPOCH }
    const result = runStep(step, states[n]!, noiseDinoBatch(config, BATCH, `batch ${n}`), dinoScalars(config, position))
    states.push(result.state)
    outputs.push(result.outputs)
  }
  return { states, outputs }
}

describe('DINO steps', () => {
  const { states, outputs } = train(miniDino, 4)

  it('give every documented output as one finite number, and the loss as its two parts', () => {
    for (const output of outputs) {
      expect(Object.keys(output).sort()).toEqual([...DINO_OUTPUTS].sort())
      for (const [name, value] of Object.entries(output)) expect(Number.isFinite(value[0]), name).toBe(true)
      expect(output.entropy![0]! + output.kl![0]!).toBeCloseTo(output.loss![0]!, 5)
      expect(output.entropy![0]).toBeGreaterThan(0)
      expect(output.entropy![0]).toBeLessThan(Math.log(miniDino.head.outDim))
      expect(output.kl![0]).toBeGreaterThan(0)
    }
  })

  it('return the whole state in its own shapes, with finite values, and the same bits when run again', () => {
    const { state: shapes } = dinoTrainStep(miniDino, BATCH).signature
    expect(Object.keys(states[4]!).sort()).toEqual(Object.keys(shapes).sort())
    for (const [name, shape] of Object.entries(shapes)) {
      expect(states[4]![name], name).toHaveLength(shape.reduce((a, b) => a * b, 1))
      expect(states[4]![name]!.every(Number.isFinite), name).toBe(true)
    }
    expect(train(miniDino, 4).states[4]).toEqual(states[4])
  })

  it('move every parameter of the student but the last layer at once', () => {
    for (const name of Object.keys(states[0]!).filter((name) => name.startsWith('online.'))) {
      const far = farthest(states[0]![name]!, states[1]![name]!)
      if (name === `online.${LAST_LAYER}`) expect(far).toBe(0)
      else expect(far, name).toBeGreaterThan(0)
    }
  })

  it('hold the last layer and its moments to the bit for an epoch, then move it as a first update does', () => {
    const entries = ['online.', 'adam.m.', 'adam.v.'].map((prefix) => prefix + LAST_LAYER)
    for (const name of entries) {
      expect(states[2]![name], name).toEqual(states[0]![name])
      expect(farthest(states[2]![name]!, states[3]![name]!), name).toBeGreaterThan(0)
    }
    // Adam's first update goes the whole learning rate in every coordinate that has a gradient.
    const { lr } = dinoScalars(miniDino, { step: 2, epoch: 1, stepsPerEpoch: STEPS_PER_EPOCH })
    const name = `online.${LAST_LAYER}`
    expect(farthest(states[2]![name]!, states[3]![name]!) / lr).toBeCloseTo(1, 1)
  })

  it('never hold a last layer that is not frozen', () => {
    const config = { ...miniDino, head: { ...miniDino.head, frozenEpochs: 0 } }
    const free = train(config, 1).states
    expect(farthest(free[0]![`online.${LAST_LAYER}`]!, free[1]![`online.${LAST_LAYER}`]!)).toBeGreaterThan(0)
  })

  it('start the teacher as a copy, and give it no gradient', () => {
    expect(states[0]!['target.norm.weight']).toEqual(states[0]!['online.norm.weight'])
    expect(states[0]!['target.norm.weight']).not.toBe(states[0]!['online.norm.weight'])
    // With momentum 1 nothing but a gradient could move it.
    const still = train({ ...miniDino, target: { ...miniDino.target, momentum: [1, 1] } }, 2).states
    for (const name of Object.keys(still[0]!).filter((name) => name.startsWith('target.')))
      expect(still[2]![name], name).toEqual(still[0]![name])
  })

  it('mix the teacher after the update, or before the forward', () => {
    const name = 'blocks.1.mlp.fc1.weight'
    const [start, updated] = [states[0]![`online.${name}`]!, states[1]![`online.${name}`]!]
    states[1]![`target.${name}`]!.forEach((value, i) => {
      expect(Math.abs(value - (0.9 * start[i]! + 0.1 * updated[i]!))).toBeLessThan(1e-7)
    })
    const lagging = train({ ...miniDino, target: { ...miniDino.target, apply: 'before-forward' } }, 1).states[1]!
    expect(farthest(lagging[`target.${name}`]!, start)).toBeLessThan(1e-7)
  })

  it('move the centre a tenth of the way to the mean of the teacher', () => {
    const { centre } = states[1]!
    expect(farthest(centre!, new Float32Array(7))).toBeGreaterThan(0)
    // Logits are cosines, so a tenth of their mean is at most .1.
    expect(centre!.every((value) => Math.abs(value) <= 0.1)).toBe(true)
  })

  it('use no kernel beyond the lowered ones', async () => {
    const scalars = dinoScalars(miniDino, { step: 0, epoch: 0, stepsPerEpoch: STEPS_PER_EPOCH })
    const kernels = await kernelsOf(() =>
      runStep(dinoTrainStep(miniDino, BATCH), states[0]!, noiseDinoBatch(miniDino, BATCH, 'kernels'), scalars),
    )
    expect(kernels.filter((name) => !LOWERED_KERNELS.includes(name))).toEqual([])
  })

  it.each([1, 2, 5])('in micro-batches of %i images give loss and moments of the unsplit batch', (microBatch) => {
    const [whole, split] = [train(miniDino, 1), train({ ...miniDino, microBatch }, 1)]
    expect(split.outputs[0]!.loss![0]).toBeCloseTo(whole.outputs[0]!.loss![0]!, 5)
    for (const [name, values] of Object.entries(whole.states[1]!)) {
      if (!name.startsWith('adam.m.') || name.endsWith('qkv.bias')) continue
      const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-4)
      expect(farthest(split.states[1]![name]!, values) / scale, name).toBeLessThan(1e-4)
    }
  })

  it('compare global views with each other where there are no local ones', () => {
    const config = { ...miniDino, views: { ...miniDino.views, localCount: 0 } }
    expect(Object.keys(dinoTrainStep(config, BATCH).signature.batch)).toEqual(['global.patches'])
    expect(train(config, 1).outputs[0]!.loss![0]).toBeGreaterThan(0)
  })
})

describe('the teacher momentum', () => {
  it('goes from its first to its last value along half a cosine over all steps', () => {
    const at = (step: number) => dinoScalars(miniDino, { step, epoch: 0, stepsPerEpoch: 10 }).momentum
    expect([at(0), at(20), at(40)].map((value) => Number(value.toFixed(12)))).toEqual([0.9, 0.95, 1])
  })
})

describe('a DINO step is refused by the name of the field', () => {
  it.each([
    ['views.localPx', { ...miniDino, views: { ...miniDino.views, localPx: 9 } }],
    ['views.globalCount', { ...miniDino, views: { ...miniDino.views, globalCount: 1 } }],
    ['backbone.heads', { ...miniDino, backbone: { ...miniDino.backbone, heads: 3 } }],
    ['microBatch', { ...miniDino, microBatch: 0 }],
  ])('%s', (field, config) => {
    expect(() => dinoTrainStep(config, BATCH)).toThrow(MsnConfigError)
    expect(() => dinoTrainStep(config, BATCH)).toThrow(field)
  })

  it('as is a batch whose views are of another number or size', () => {
    const [global, local] = [noiseImages('g', 6, 16), noiseImages('l', 9, 8)]
    expect(() => dinoBatch(miniDino, 3, { global: noiseImages('g', 6, 20), local })).toThrow(MsnInputError)
    expect(() => dinoBatch(miniDino, 3, { global, local: null })).toThrow('local: no images, not 9 images of 8 px')
    expect(() => dinoBatch(miniDino, 0, { global, local })).toThrow('batch')
  })
})
