import { describe, expect, it } from 'vitest'
import { backboneFeatures, backboneParameters } from './backbone.ts'
import { linearHeadParameters } from './classify.ts'
import { type BackboneConfig, checkBackbone } from './config.ts'
import { MsnConfigError } from './errors.ts'
import { initialArrays } from './init.ts'
import { oneHotPositions } from './masks.ts'
import { type ParameterSpec, sizeOf } from './parameters.ts'
import { patchesOfGrey } from './patches.ts'
import { drawsFor, miniConfig, noiseImages } from './testing.ts'
import { tf } from './tf.ts'

const count = (specs: readonly ParameterSpec[]): number => specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
const published = (dim: number): BackboneConfig => ({
  dim,
  depth: 12,
  heads: 6,
  mlpRatio: 4,
  patchPx: 16,
  imagePx: 224,
  layerNormEps: 1e-6,
})

describe('parameter counts with a head of 14 classes', () => {
  it.each([
    [192, 5.527],
    [384, 21.671],
  ])('width %i: %f million', (dim, millions) => {
    const parameters = [...backboneParameters(published(dim)), ...linearHeadParameters(dim, 14)]
    expect(Math.round(count(parameters) / 1e3) / 1e3).toBe(millions)
  })
})

describe('features', () => {
  const { backbone, normalisation } = miniConfig
  const specs = backboneParameters(backbone)
  const arrays = initialArrays(specs, (name) => drawsFor(`features ${name}`))
  const params = Object.fromEntries(
    // Ten times the usual deviation: differences must show in the features.
    specs.map(({ name, shape, init }) => [
      name,
      tf.tensor(
        arrays[name]!.map((value) => (init.kind === 'normal' ? 10 * value : value)),
        [...shape],
      ),
    ]),
  )
  const images = noiseImages('features', 2, 16)
  const features = (ids: Int32Array | null, positionIds: Int32Array | null = ids): number[] => {
    const kept = ids ? ids.length / 2 : 16
    const patches = tf.tensor3d(patchesOfGrey(images, 4, normalisation, ids), [2, kept, 48])
    const positions = positionIds && tf.tensor3d(oneHotPositions(positionIds, 16), [2, kept, 16])
    return [...backboneFeatures(backbone, params, { patches, positions, grid: 4 }).dataSync()]
  }
  const difference = (a: number[], b: number[]): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))
  const all = Int32Array.from({ length: 32 }, (_, i) => i % 16)

  it('of all patches selected one by one are those without selection', () => {
    expect(difference(features(all), features(null))).toBeLessThan(1e-5)
  })

  it('do not depend on the order in which patches are listed, but on their positions', () => {
    const backwards = all.map((_, i) => 15 - (i % 16))
    expect(difference(features(backwards), features(null))).toBeLessThan(1e-5)
    expect(difference(features(backwards, all), features(null))).toBeGreaterThan(1e-3)
  })

  it('change when a patch is left out', () => {
    const fewer = Int32Array.from({ length: 30 }, (_, i) => i % 15)
    expect(difference(features(fewer), features(null))).toBeGreaterThan(1e-3)
  })
})

describe('impossible backbones are refused by the name of the field', () => {
  it.each([
    [{ imagePx: 220 }, 'backbone.imagePx'],
    [{ heads: 5 }, 'backbone.heads'],
    [{ mlpRatio: 1.001 }, 'backbone.mlpRatio'],
  ])('%o', (change, field) => {
    expect(() => checkBackbone({ ...published(192), ...change })).toThrow(MsnConfigError)
    expect(() => checkBackbone({ ...published(192), ...change })).toThrow(field)
  })
})
