import { describe, expect, it } from 'vitest'
import { MsnConfigError, MsnInputError } from '../errors.ts'
import type { StateArrays } from '../step.ts'
import { drawsFor, farthest, kernelsOf, LOWERED_KERNELS, miniMae, noiseImages, noiseMaeBatch, runStep } from '../testing.ts'
import { maeBatch } from './batch.ts'
import type { MaeConfig } from './config.ts'
import { MAE_OUTPUTS, maeInitialState, maeScalars, maeTrainStep } from './step.ts'

const BATCH = 3
const [PATCHES, KEPT, MASKED, PATCH_DIM] = [16, 6, 10, 48]
const scalarsOf = (config: MaeConfig, step: number) => maeScalars(config, { step, epoch: 0, stepsPerEpoch: 10 })

function train(
  config: MaeConfig,
  count: number,
  key = 'batch',
): { states: StateArrays[]; outputs: Record<string, Float32Array>[] } {
  const step = maeTrainStep(config, BATCH)
  const states = [maeInitialState(config, drawsFor)]
  const outputs: Record<string, Float32Array>[] = []
  for (let n = 0; n < count; n++) {
    const result = runStep(step, states[n]!, noiseMaeBatch(config, BATCH, `${key} ${n}`), scalarsOf(config, n))
    states.push(result.state)
    outputs.push(result.outputs)
  }
  return { states, outputs }
}

const lossOf = (state: StateArrays, batch: Record<string, Float32Array>, config = miniMae): number =>
  runStep(maeTrainStep(config, BATCH), state, batch, scalarsOf(config, 0)).outputs.loss![0]!

describe.each([
  ['pixels as they are', miniMae],
  ['normalised patches', { ...miniMae, normPixels: true }],
] as const)('MAE steps with %s', (_, config) => {
  const { states, outputs } = train(config, 2)

  it('give every documented output as one finite number', () => {
    for (const output of outputs) {
      expect(Object.keys(output).sort()).toEqual([...MAE_OUTPUTS].sort())
      for (const [name, value] of Object.entries(output)) expect(Number.isFinite(value[0]), name).toBe(true)
    }
  })

  it('return the whole state in its own shapes, and the same bits when run again', () => {
    const { state: shapes } = maeTrainStep(config, BATCH).signature
    expect(Object.keys(states[2]!).sort()).toEqual(Object.keys(shapes).sort())
    for (const [name, shape] of Object.entries(shapes)) {
      expect(states[2]![name], name).toHaveLength(shape.reduce((a, b) => a * b, 1))
      expect(states[2]![name]!.every(Number.isFinite), name).toBe(true)
    }
    expect(train(config, 2).states[2]).toEqual(states[2])
  })

  it('move every parameter', () => {
    for (const name of Object.keys(states[0]!).filter((name) => name.startsWith('online.')))
      expect(farthest(states[0]![name]!, states[2]![name]!), name).toBeGreaterThan(0)
  })

  it('follow the gradient: a short way along it changes the loss by its square', () => {
    const batch = noiseMaeBatch(config, BATCH, 'batch 0')
    const start = states[0]!
    // The first moment after one step is a tenth of the gradient.
    const gradients = Object.entries(states[1]!).flatMap(([name, m]) =>
      name.startsWith('adam.m.') ? [[`online.${name.slice(7)}`, m.map((x) => 10 * x)] as const] : [],
    )
    const square = gradients.reduce((sum, [, g]) => sum + g.reduce((own, x) => own + x * x, 0), 0)
    expect(Math.sqrt(square)).toBeCloseTo(outputs[0]!.gradNorm![0]!, 4)
    const far = 0.004 / Math.sqrt(square)
    const shifted = (by: number): StateArrays => ({
      ...start,
      ...Object.fromEntries(gradients.map(([name, g]) => [name, start[name]!.map((x, i) => x + by * g[i]!)])),
    })
    const slope = (lossOf(shifted(far), batch, config) - lossOf(shifted(-far), batch, config)) / (2 * far)
    expect(slope / square).toBeCloseTo(1, 2)
  })

  it.each([1, 2, 5])('in micro-batches of %i images give loss and moments of the unsplit batch', (microBatch) => {
    const split = train({ ...config, microBatch }, 1)
    expect(split.outputs[0]!.loss![0]).toBeCloseTo(outputs[0]!.loss![0]!, 5)
    for (const [name, values] of Object.entries(states[1]!)) {
      if (!name.startsWith('adam.m.') || name.endsWith('qkv.bias')) continue
      const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-4)
      expect(farthest(split.states[1]![name]!, values) / scale, name).toBeLessThan(1e-4)
    }
  })
})

describe('the MAE loss', () => {
  const start = maeInitialState(miniMae, drawsFor)
  const batch = noiseMaeBatch(miniMae, BATCH, 'order')
  const loss = lossOf(start, batch)

  /** The rows of each image's [count, width] block backwards. */
  const reversed = (array: Float32Array, count: number): Float32Array => {
    const width = array.length / (BATCH * count)
    return array.map((_, i) => {
      const [image, row, column] = [Math.floor(i / (count * width)), Math.floor(i / width) % count, i % width]
      return array[(image * count + (count - 1 - row)) * width + column]!
    })
  }

  it.each([
    ['kept', KEPT],
    ['masked', MASKED],
  ])('does not depend on the order of %s patches, but on where they lie', (name, count) => {
    const [patches, positions] = [`${name}.patches`, `${name}.positions`]
    const both = { ...batch, [patches]: reversed(batch[patches]!, count), [positions]: reversed(batch[positions]!, count) }
    expect(lossOf(start, both)).toBeCloseTo(loss, 5)
    expect(Math.abs(lossOf(start, { ...both, [positions]: batch[positions]! }) - loss)).toBeGreaterThan(1e-5)
  })

  it('falls on a fixed batch, and more of the variance is explained', () => {
    const step = maeTrainStep(miniMae, BATCH)
    const outputs: Record<string, Float32Array>[] = []
    let state = start
    for (let n = 0; n < 30; n++) {
      const result = runStep(step, state, batch, { ...scalarsOf(miniMae, n), lr: 1e-2 })
      state = result.state
      outputs.push(result.outputs)
    }
    expect(outputs.at(-1)!.loss![0]).toBeLessThan(0.9 * outputs[0]!.loss![0]!)
    expect(outputs.at(-1)!.explained![0]).toBeGreaterThan(outputs[0]!.explained![0]!)
  })

  it('uses no kernel beyond the lowered ones', async () => {
    for (const config of [miniMae, { ...miniMae, normPixels: true }]) {
      const kernels = await kernelsOf(() => lossOf(start, batch, config))
      expect(kernels.filter((name) => !LOWERED_KERNELS.includes(name))).toEqual([])
    }
  })
})

describe('an MAE batch', () => {
  it('has each patch of an image once, kept or masked, with its own position', () => {
    const images = noiseImages('one', 2, 16)
    const arrays = maeBatch(miniMae, images, (sample) => drawsFor(`mask ${sample}`))
    for (let image = 0; image < 2; image++) {
      const ids = [
        ['kept', KEPT],
        ['masked', MASKED],
      ].flatMap(([name, count]) =>
        Array.from({ length: count as number }, (_, slot) => {
          const from = (image * (count as number) + slot) * PATCHES
          const id = arrays[`${name}.positions`]!.subarray(from, from + PATCHES).indexOf(1)
          const level = images.data[(image * 16 + Math.floor(id / 4) * 4) * 16 + (id % 4) * 4]!
          const patch = arrays[`${name}.patches`]![(image * (count as number) + slot) * PATCH_DIM]!
          expect(patch).toBeCloseTo((level / 255 - 0.485) / 0.229, 4)
          return id
        }),
      )
      expect([...ids].sort((a, b) => a - b)).toEqual(Array.from({ length: PATCHES }, (_, id) => id))
    }
    expect(arrays['kept.positions']!.subarray(0, KEPT * PATCHES)).not.toEqual(arrays['kept.positions']!.subarray(KEPT * PATCHES))
  })

  it('is refused where images have another size', () => {
    expect(() => maeBatch(miniMae, noiseImages('x', 2, 20), () => drawsFor('m'))).toThrow(MsnInputError)
  })
})

describe('an MAE step is refused by the name of the field', () => {
  it.each([
    ['decoder.heads', { ...miniMae, decoder: { ...miniMae.decoder, heads: 5 } }],
    ['mask.image', { ...miniMae, mask: { image: 0.99 } }],
    ['mask.image', { ...miniMae, mask: { image: 0 } }],
    ['backbone.imagePx', { ...miniMae, backbone: { ...miniMae.backbone, imagePx: 18 } }],
    ['microBatch', { ...miniMae, microBatch: 1.5 }],
  ])('%s', (field, config) => {
    expect(() => maeTrainStep(config, BATCH)).toThrow(MsnConfigError)
    expect(() => maeTrainStep(config, BATCH)).toThrow(field)
  })
})
