import { describe, expect, it } from 'vitest'
import type { MsnConfig } from './config.ts'
import { MsnConfigError, MsnInputError } from './errors.ts'
import { msnBatch } from './msn-batch.ts'
import { MSN_OUTPUTS, msnInitialState, msnProbeStep, msnTrainStep } from './msn-step.ts'
import { msnScalars } from './schedules.ts'
import type { StateArrays } from './step.ts'
import { drawsFor, kernelsOf, LOWERED_KERNELS, miniConfig, noiseBatch, noiseImages, runStep } from './testing.ts'
import { tf } from './tf.ts'

const BATCH = 4
const trained: MsnConfig = {
  ...miniConfig,
  ehr: null,
  prototypes: { count: 7, trainable: true },
  head: { ...miniConfig.head, hiddenBias: true, bnGroups: 'per-size' },
  mask: { random: 0.25, focal: 0, shared: true },
  target: { ...miniConfig.target, apply: 'after-update' },
  optimiser: { ...miniConfig.optimiser, clipNorm: 1 },
}

/** A run of `count` steps from the start. */
function train(config: MsnConfig, count: number): { states: StateArrays[]; outputs: Record<string, Float32Array>[] } {
  const step = msnTrainStep(config, BATCH)
  const states = [msnInitialState(config, drawsFor)]
  const outputs: Record<string, Float32Array>[] = []
  for (let n = 0; n < count; n++) {
    const scalars = msnScalars(config, { step: n, epoch: 0, stepsPerEpoch: 10 })
    const result = runStep(step, states[n]!, noiseBatch(config, BATCH, `batch ${n}`), scalars)
    states.push(result.state)
    outputs.push(result.outputs)
  }
  return { states, outputs }
}

const moved = (before: Float32Array, after: Float32Array): number =>
  Math.max(...before.map((value, i) => Math.abs(value - after[i]!)))

describe.each([
  ['with EHR, target before the forward', miniConfig],
  ['vanilla, trained prototypes, clipping, target after the update', trained],
] as const)('two steps %s', (_, config) => {
  const { states, outputs } = train(config, 2)

  it('give every documented output as one finite number', () => {
    for (const output of outputs) {
      expect(Object.keys(output).sort()).toEqual([...MSN_OUTPUTS].sort())
      for (const [name, value] of Object.entries(output)) {
        expect(value, name).toHaveLength(1)
        expect(Number.isFinite(value[0]), name).toBe(true)
      }
    }
  })

  it('return the whole state in its own shapes, with finite values', () => {
    const { state: shapes } = msnTrainStep(config, BATCH).signature
    expect(Object.keys(states[2]!).sort()).toEqual(Object.keys(shapes).sort())
    for (const [name, shape] of Object.entries(shapes)) {
      expect(states[2]![name], name).toHaveLength(shape.reduce((a, b) => a * b, 1))
      expect(states[2]![name]!.every(Number.isFinite), name).toBe(true)
    }
  })

  it('move every online parameter', () => {
    for (const name of Object.keys(states[0]!).filter((name) => name.startsWith('online.'))) {
      expect(moved(states[0]![name]!, states[2]![name]!), name).toBeGreaterThan(0)
    }
  })

  it('give the same bits when run again', () => {
    expect(train(config, 2).states[2]).toEqual(states[2])
  })
})

describe('the target', () => {
  // With momentum 1 nothing but a gradient could move it.
  it.each([
    ['before-forward', miniConfig],
    ['after-update', trained],
  ] as const)('gets no gradient (%s)', (_, config) => {
    const still = { ...config, target: { ...config.target, momentum: [1, 1] as const } }
    const { states } = train(still, 2)
    const names = Object.keys(states[0]!).filter((name) => name.startsWith('target.') && !name.includes('running'))
    expect(names.length).toBeGreaterThan(30)
    for (const name of names) expect(states[2]![name], name).toEqual(states[0]![name])
  })

  it('is, after the update, momentum times itself plus the rest of the updated online network', () => {
    const { states } = train(trained, 1)
    const name = 'blocks.1.mlp.fc1.weight'
    const [before, online, after] = [states[0]![`target.${name}`]!, states[1]![`online.${name}`]!, states[1]![`target.${name}`]!]
    after.forEach((value, i) => {
      expect(Math.abs(value - (0.9 * before[i]! + 0.1 * online[i]!))).toBeLessThan(1e-7)
    })
  })

  it('lags one update when it is mixed before the forward', () => {
    const { states } = train(miniConfig, 2)
    const name = 'blocks.1.mlp.fc1.weight'
    const [start, first, after] = [states[0]![`online.${name}`]!, states[1]![`online.${name}`]!, states[2]![`target.${name}`]!]
    expect(moved(start, states[1]![`target.${name}`]!)).toBeLessThan(1e-7)
    after.forEach((value, i) => {
      expect(Math.abs(value - (0.9 * start[i]! + 0.1 * first[i]!))).toBeLessThan(1e-7)
    })
  })
})

describe('prototypes', () => {
  it('stay bit for bit and have no moments where they are not trained', () => {
    const { states } = train(miniConfig, 2)
    expect(states[2]!.prototypes).toEqual(states[0]!.prototypes)
    expect(Object.keys(states[0]!)).not.toContain('adam.m.prototypes')
    const probe = runStep(msnProbeStep(miniConfig, BATCH), states[0]!, noiseBatch(miniConfig, BATCH, 'probe'), {
      ...msnScalars(miniConfig, { step: 0, epoch: 0, stepsPerEpoch: 10 }),
    })
    expect(Object.keys(probe.outputs)).not.toContain('grad.prototypes')
  })

  it('are trained where the configuration says so, undecayed', () => {
    const { states } = train(trained, 1)
    expect(moved(states[0]!.prototypes!, states[1]!.prototypes!)).toBeGreaterThan(0)
    const decayed = { ...trained.optimiser, weightDecay: { start: 50, final: 50, skip1d: false } }
    const other = train({ ...trained, optimiser: decayed }, 1).states[1]!
    expect(other.prototypes).toEqual(states[1]!.prototypes)
    expect(other['online.blocks.0.mlp.fc1.weight']).not.toEqual(states[1]!['online.blocks.0.mlp.fc1.weight'])
  })
})

describe('the step as a traced program', () => {
  it('uses no kernel beyond the lowered ones', async () => {
    for (const config of [miniConfig, trained]) {
      const step = msnTrainStep(config, BATCH)
      const state = msnInitialState(config, drawsFor)
      const scalars = msnScalars(config, { step: 0, epoch: 0, stepsPerEpoch: 10 })
      const batch = noiseBatch(config, BATCH, 'kernels')
      const kernels = await kernelsOf(() => runStep(step, state, batch, scalars))
      expect(kernels.length).toBeGreaterThan(10)
      expect(kernels.filter((name) => !LOWERED_KERNELS.includes(name))).toEqual([])
    }
  })

  it('leaves no tensor behind', () => {
    const before = tf.memory().numTensors
    train(miniConfig, 1)
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe('batches', () => {
  const views = (rows: number) => ({
    target: noiseImages('t', rows, 16),
    random: noiseImages('r', rows, 16),
    focal: noiseImages('f', 2 * rows, 8),
    ehr: new Float32Array(rows * 5),
    maskDraws: (sample: number, view: number) => drawsFor(`${sample} ${view}`),
  })
  const row = (array: Float32Array, size: number, i: number): number[] => [...array.subarray(i * size, (i + 1) * size)]

  it('have the sizes of the signature', () => {
    const { batch } = msnTrainStep(miniConfig, BATCH).signature
    const arrays = msnBatch(miniConfig, views(BATCH))
    expect(Object.keys(arrays).sort()).toEqual(Object.keys(batch).sort())
    for (const [name, shape] of Object.entries(batch)) expect(arrays[name], name).toHaveLength(shape.reduce((a, b) => a * b, 1))
  })

  it('mask every sample and view by a stream of its own', () => {
    const asked: string[] = []
    const maskDraws = (sample: number, view: number) => {
      asked.push(`${sample} ${view}`)
      return drawsFor(`${sample} ${view}`)
    }
    msnBatch(miniConfig, { ...views(2), maskDraws })
    expect(asked).toEqual(['0 1', '1 1', '0 2', '1 2', '0 3', '1 3'])
  })

  it('mask all rows of a view alike where the mask is shared', () => {
    const size = 12 * 16
    const own = msnBatch(miniConfig, views(2))['random.positions']!
    const shared = msnBatch({ ...miniConfig, mask: { ...miniConfig.mask, shared: true } }, views(2))['random.positions']!
    expect(row(shared, size, 0)).toEqual(row(shared, size, 1))
    expect(row(own, size, 0)).not.toEqual(row(own, size, 1))
  })

  it('are refused where a view or the EHR block has another size, by its name', () => {
    expect(() => msnBatch(miniConfig, { ...views(2), random: noiseImages('r', 2, 20) })).toThrow(MsnInputError)
    expect(() => msnBatch(miniConfig, { ...views(2), focal: null })).toThrow(/^focal/)
    expect(() => msnBatch(miniConfig, { ...views(2), ehr: new Float32Array(9) })).toThrow('ehr: 9 values, not 10')
  })
})

describe('impossible configurations are refused by the name of the field', () => {
  it.each([
    ['views.focalPx', { ...miniConfig, views: { focalCount: 2, focalPx: 9 } }],
    ['mask.focal', { ...miniConfig, mask: { ...miniConfig.mask, focal: 0.99 } }],
    ['backbone.heads', { ...miniConfig, backbone: { ...miniConfig.backbone, heads: 3 } }],
  ])('%s', (field, config) => {
    expect(() => msnTrainStep(config, BATCH)).toThrow(MsnConfigError)
    expect(() => msnTrainStep(config, BATCH)).toThrow(field)
  })

  it('a batch of one image, whose BatchNorm has no variance', () => {
    expect(() => msnTrainStep(miniConfig, 1)).toThrow('batch')
  })
})

it('without focal anchors only the random anchor is compared', () => {
  const config = { ...miniConfig, views: { focalCount: 0, focalPx: 8 } }
  expect(Object.keys(msnTrainStep(config, BATCH).signature.batch)).not.toContain('focal.patches')
  expect(train(config, 1).outputs[0]!.loss![0]).toBeGreaterThan(0)
})
