import { describe, expect, it } from 'vitest'
import { fuseEhr } from './ehr.ts'
import { headBuffers, headParameters, projectionHead } from './head.ts'
import { initialArrays } from './init.ts'
import { drawsFor } from './testing.ts'
import { tf } from './tf.ts'

const config = { hiddenDim: 10, outDim: 3, hiddenBias: false, bnGroups: 'joint' } as const
const specs = [...headParameters(config, 4), ...headBuffers(config)]
const arrays = initialArrays(specs, (name) => drawsFor(`head ${name}`))
const params = Object.fromEntries(specs.map(({ name, shape }) => [name, tf.tensor(arrays[name]!, [...shape])]))
const uniform = drawsFor('head input')
const input = tf.tensor2d(
  Float32Array.from({ length: 24 }, () => uniform() - 0.5),
  [6, 4],
)
const z = (groups: number[], x = input): number[][] => projectionHead(params, x, groups, params).z.arraySync() as number[][]
const difference = (a: number[][], b: number[][]): number =>
  Math.max(...a.flat().map((value, i) => Math.abs(value - b.flat()[i]!)))

describe('the projection head', () => {
  it('treats separate groups as batches of their own', () => {
    const first = z([2], input.slice([0, 0], [2, 4]))
    const rest = z([4], input.slice([2, 0], [4, 4]))
    expect(difference(z([2, 4]), [...first, ...rest])).toBeLessThan(1e-6)
  })

  it('gives something else when all rows share their statistics', () => {
    expect(difference(z([6]), z([2, 4]))).toBeGreaterThan(1e-2)
  })

  it('moves the running statistics once a group, with the unbiased variance', () => {
    const hidden = tf.matMul(input, params['fc.fc1.weight']!.as2D(10, 4), false, true).arraySync() as number[][]
    const column = (rows: number[][]): number[] => rows.map((row) => row[0]!)
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length
    const unbiased = (values: number[]): number =>
      values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1)
    const groups = [column(hidden.slice(0, 2)), column(hidden.slice(2))]
    const expectedMean = groups.reduce((running, values) => 0.9 * running + 0.1 * mean(values), 0)
    const expectedVariance = groups.reduce((running, values) => 0.9 * running + 0.1 * unbiased(values), 1)
    const { buffers } = projectionHead(params, input, [2, 4], params)
    expect(buffers['fc.bn1.running_mean']!.dataSync()[0]).toBeCloseTo(expectedMean, 6)
    expect(buffers['fc.bn1.running_var']!.dataSync()[0]).toBeCloseTo(expectedVariance, 6)
  })

  it('has hidden biases only where they are asked for', () => {
    const names = (hiddenBias: boolean): string[] => headParameters({ ...config, hiddenBias }, 4).map(({ name }) => name)
    expect(names(true)).toEqual(
      [...names(false), 'fc.fc1.bias', 'fc.fc2.bias'].sort((a, b) => names(true).indexOf(a) - names(true).indexOf(b)),
    )
    expect(names(false)).not.toContain('fc.fc1.bias')
    expect(names(false)).toContain('fc.fc3.bias')
  })
})

it('the EHR fusion equals one Linear on the concatenation, image first, the same vector for all views of an image', () => {
  const noise = (shape: [number, number], key: string) => {
    const draw = drawsFor(key)
    return tf.tensor2d(
      Float32Array.from({ length: shape[0] * shape[1] }, () => draw() - 0.5),
      shape,
    )
  }
  const fusion = {
    'ehr.embed.weight': noise([3, 5], 'embed'),
    'ehr.embed.bias': noise([1, 3], 'embed bias').as1D(),
    'ehr.fuse.weight': noise([4, 7], 'fuse'),
    'ehr.fuse.bias': noise([1, 4], 'fuse bias').as1D(),
  }
  const ehr = noise([2, 5], 'ehr')
  const embedded = tf.add(tf.matMul(ehr, fusion['ehr.embed.weight'], false, true), fusion['ehr.embed.bias'])
  const joined = tf.concat([input, tf.tile(embedded, [3, 1])], 1)
  const expected = tf.add(tf.matMul(joined as typeof ehr, fusion['ehr.fuse.weight'], false, true), fusion['ehr.fuse.bias'])
  expect(difference(fuseEhr(fusion, input, ehr).arraySync() as number[][], expected.arraySync() as number[][])).toBeLessThan(1e-6)
})
