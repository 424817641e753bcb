import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { barrier, finetuneStep, type Step, type TensorMap, tf } from '#libs/msn'
import { lowerToOnnx } from '../onnx/lower.ts'
import { sessionOptions } from '../onnx/runtime.ts'
import { type Op, type Program, valueAt } from '../program.ts'
import { filler, regressionStep } from '../testing.ts'
import { traceStep } from '../trace/trace-step.ts'
import { absorbBroadcasts } from './absorb-broadcasts.ts'
import { eliminateCommonSubexpressions } from './eliminate-common-subexpressions.ts'
import { foldConstants } from './fold-constants.ts'
import { optimise } from './optimise.ts'
import { removeDeadOps } from './remove-dead-ops.ts'
import { removeIdentities } from './remove-identities.ts'
import type { Pass } from './rewrite.ts'

type Tensor = TensorMap[string]

function stepOf(run: (x: Tensor) => Tensor): Step {
  return {
    name: 'probe',
    signature: { state: {}, batch: { x: [2, 3] }, scalars: [] },
    run: (_, { x }) => ({ state: {}, outputs: { y: run(x!) } }),
  }
}
const programOf = (run: (x: Tensor) => Tensor): Program => traceStep(stepOf(run)).program
const kindsOf = (program: Program): Op['kind'][] => program.ops.map(({ kind }) => kind)

async function outputsOf(program: Program): Promise<Record<string, Float32Array>> {
  const model = lowerToOnnx(program, 'program')
  const session = await ort.InferenceSession.create(model.bytes, sessionOptions(1))
  const feeds = Object.fromEntries(
    model.inputs.map((name, i) => {
      const { shape } = valueAt(program, program.inputs[name]!)
      // Second moments and their corrections must not be negative.
      const offset = name.includes('adam.v') || name.startsWith('scalar:') ? 0.2 : 0
      return [name, new ort.Tensor('float32', filler(shape, 20 + i, 0.1, offset), shape)]
    }),
  )
  const results = await session.run(feeds)
  await session.release()
  return Object.fromEntries(model.outputs.map((name) => [name, results[name]!.data as Float32Array]))
}

const backbone = { dim: 16, depth: 2, heads: 2, mlpRatio: 2, patchPx: 4, imagePx: 16, layerNormEps: 1e-6 }
const vitStep = finetuneStep(backbone, { labels: 3, batch: 2, betas: [0.9, 0.999], eps: 1e-8 })
const PASSES: readonly (readonly [string, Pass])[] = [
  ['removeDeadOps', removeDeadOps],
  ['removeIdentities', removeIdentities],
  ['foldConstants', foldConstants],
  ['absorbBroadcasts', absorbBroadcasts],
  ['eliminateCommonSubexpressions', eliminateCommonSubexpressions],
  ['optimise', optimise],
]

describe('every pass keeps what a whole training step of a ViT computes, within 1e-6', () => {
  it.each(PASSES)('%s', async (_, pass) => {
    const { program } = traceStep(vitStep)
    const [expected, actual] = [await outputsOf(program), await outputsOf(pass(program))]
    expect(Object.keys(actual)).toEqual(Object.keys(expected))
    let worst = 0
    for (const [name, values] of Object.entries(expected)) {
      expect(actual[name]).toHaveLength(values.length)
      values.forEach((value, i) => {
        worst = Math.max(worst, Math.abs(actual[name]![i]! - value))
      })
    }
    expect(worst).toBeLessThan(1e-6)
  })

  it.each(PASSES)('%s leaves its argument alone', (_, pass) => {
    const { program } = traceStep(regressionStep)
    const before = JSON.stringify(program)
    pass(program)
    expect(JSON.stringify(program)).toBe(before)
  })

  it('together they shorten it by a fifth or more, and change nothing the second time', () => {
    const { program } = traceStep(vitStep)
    const once = optimise(program)
    expect(once.ops.length).toBeLessThan(0.8 * program.ops.length)
    expect(optimise(once).ops).toEqual(once.ops)
  })
})

describe('removeDeadOps', () => {
  it('drops what no output needs, chains included', () => {
    const program = programOf((x) => {
      tf.exp(tf.neg(x))
      return tf.square(x)
    })
    expect(kindsOf(program)).toEqual(['Neg', 'Exp', 'Square'])
    expect(kindsOf(removeDeadOps(program))).toEqual(['Square'])
  })
})

describe('removeIdentities', () => {
  it.each<[string, (x: Tensor) => Tensor]>([
    ['clones', (x) => tf.clone(x)],
    ['reshapes to the same shape', (x) => tf.reshape(x, [2, 3])],
    ['reshapes there and back', (x) => tf.reshape(tf.reshape(x, [6]), [2, 3])],
    ['transposes there and back', (x) => tf.transpose(tf.transpose(x))],
    ['whole slices', (x) => tf.slice(x, [0, 0], [2, 3])],
    ['tiles of one', (x) => tf.tile(x, [1, 1])],
    [
      'pads of nothing',
      (x) =>
        tf.pad(x, [
          [0, 0],
          [0, 0],
        ]),
    ],
  ])('removes %s', (_, change) => {
    expect(kindsOf(removeDeadOps(removeIdentities(programOf((x) => tf.exp(change(x))))))).toEqual(['Exp'])
  })

  it.each<[string, (x: Tensor) => Tensor]>([
    ['a transpose of a square matrix', (x) => tf.transpose(tf.slice(x, [0, 0], [2, 2]))],
    ['a slice', (x) => tf.slice(x, [0, 1], [2, 2])],
    ['a cast to integers', (x) => tf.cast(x, 'int32')],
  ])('keeps %s', (_, change) => {
    const program = programOf(change)
    expect(kindsOf(removeIdentities(program))).toEqual(kindsOf(program))
  })
})

describe('foldConstants', () => {
  const splatOf = (program: Program): unknown => valueAt(program, program.outputs['output:y']!).literal

  it('computes arithmetic and reductions of filled arrays, rounded to float32', () => {
    const program = foldConstants(programOf(() => tf.sum(tf.mul(tf.fill([2, 3], 0.1), tf.exp(tf.fill([3], 1))))))
    expect(program.ops).toEqual([])
    const term = Math.fround(Math.fround(0.1) * Math.fround(Math.E))
    expect(splatOf(program)).toEqual({ kind: 'splat', value: Math.fround(6 * term) })
  })

  it.each<[string, (x: Tensor) => Tensor]>([
    ['x + 0', (x) => tf.add(x, 0)],
    ['0 + x', (x) => tf.add(tf.zerosLike(x), x)],
    ['x - 0', (x) => tf.sub(x, 0)],
    ['x * 1', (x) => tf.mul(x, tf.onesLike(x))],
    ['x / 1', (x) => tf.div(x, 1)],
    ['x ^ 1', (x) => tf.pow(x, 1)],
  ])('turns %s into x', (_, change) => {
    expect(kindsOf(foldConstants(programOf(change)))).toEqual(['Identity'])
  })

  it('turns x * 1 that broadcasts into a broadcast, and a tile of a row into one', () => {
    const row = (x: Tensor): Tensor => tf.sum(x, 0, true)
    expect(kindsOf(foldConstants(programOf((x) => tf.mul(row(x), tf.ones([4, 3])))))).toEqual(['Sum', 'BroadcastTo'])
    expect(kindsOf(foldConstants(programOf((x) => tf.tile(row(x), [4, 1]))))).toEqual(['Sum', 'BroadcastTo'])
  })

  it('does not touch x * 0, which is NaN where x is not finite', () => {
    expect(kindsOf(foldConstants(programOf((x) => tf.mul(x, 0))))).toEqual(['Multiply'])
  })

  it('does not touch 0 - x and 1 / x', () => {
    expect(kindsOf(foldConstants(programOf((x) => tf.add(tf.sub(0, x), tf.div(1, x)))))).toEqual(['Sub', 'RealDiv', 'Add'])
  })
})

describe('absorbBroadcasts', () => {
  it('lets an elementwise operation broadcast by itself', () => {
    const program = foldConstants(programOf((x) => tf.mul(x, tf.mul(tf.sum(x, 0, true), tf.ones([2, 3])))))
    expect(kindsOf(program)).toEqual(['Sum', 'BroadcastTo', 'Multiply'])
    expect(kindsOf(removeDeadOps(absorbBroadcasts(program)))).toEqual(['Sum', 'Multiply'])
  })

  it('keeps one operand of the full shape', () => {
    const wide = (x: Tensor): Tensor => tf.mul(tf.sum(x, 0, true), tf.ones([2, 3]))
    const program = absorbBroadcasts(foldConstants(programOf((x) => tf.add(wide(x), wide(tf.exp(x))))))
    const add = program.ops.at(-1)!
    expect(add.inputs.map((id) => valueAt(program, id).shape)).toContainEqual([2, 3])
  })
})

describe('eliminateCommonSubexpressions', () => {
  it('computes the same operation once', () => {
    const program = programOf((x) => tf.add(tf.exp(tf.neg(x)), tf.exp(tf.neg(x))))
    expect(kindsOf(eliminateCommonSubexpressions(program))).toEqual(['Neg', 'Exp', 'Add'])
  })

  it('tells attributes apart, infinite ones too', () => {
    const program = programOf((x) => tf.add(tf.clipByValue(x, 0, Infinity), tf.clipByValue(x, -Infinity, 0)))
    expect(kindsOf(eliminateCommonSubexpressions(program))).toEqual(['ClipByValue', 'ClipByValue', 'Add'])
    const sums = programOf((x) => tf.add(tf.sum(tf.slice(x, [0, 0], [2, 2]), 0), tf.sum(tf.slice(x, [0, 0], [2, 2]), 1)))
    expect(kindsOf(eliminateCommonSubexpressions(sums))).toEqual(['Slice', 'Sum', 'Sum', 'Add'])
  })
})

describe('barriers', () => {
  it('stay, and keep what follows them from being merged with the same operations before', async () => {
    const program = programOf((x) => {
      const first = tf.exp(x)
      return tf.add(first, tf.exp(barrier(x, [first])))
    })
    const optimised = optimise(program)
    expect(kindsOf(optimised).filter((kind) => kind === 'Exp')).toHaveLength(2)
    expect(kindsOf(optimised)).toContain('Barrier')
    expect((await outputsOf(optimised)).y).toEqual((await outputsOf(program)).y)
  })

  it('of the same inputs are two', () => {
    const program = programOf((x) => tf.add(tf.exp(barrier(x, [x])), tf.exp(barrier(x, [x]))))
    expect(kindsOf(optimise(program)).sort()).toEqual(['Add', 'Barrier', 'Barrier', 'Exp', 'Exp'])
  })
})
