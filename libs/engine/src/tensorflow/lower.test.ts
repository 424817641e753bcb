import { describe, expect, it } from 'vitest'
import { type Step, type TensorMap, tf } from '#libs/msn'
import { createExecutor } from '../engines.ts'
import { optimise } from '../passes/optimise.ts'
import { filler } from '../testing.ts'
import { traceStep } from '../trace/trace-step.ts'
import { planBfloat16 } from './bfloat16.ts'
import { laterThan } from './order.ts'
import { tensorflowBuild } from './runtime.ts'

type Tensor = TensorMap[string]

const step = (
  batch: Record<string, number[]>,
  run: (inputs: TensorMap) => Tensor,
  state: Record<string, number[]> = {},
): Step => ({
  name: 'tested',
  signature: { state, batch, scalars: [] },
  run: (entries, arrays) => ({ state: {}, outputs: { y: run({ ...entries, ...arrays }) } }),
})
const programOf = (tested: Step) => optimise(traceStep(tested).program)
const product = (a: Tensor, b: Tensor): Tensor => tf.matMul(a as never, b as never)

describe('what is held in bfloat16', () => {
  const kindsIn = (tested: Step): string[] => {
    const program = programOf(tested)
    const plan = planBfloat16(program)
    return program.ops.filter((op) => plan.computesInBfloat16(op)).map(({ kind }) => kind)
  }

  it('is products and what moves numbers between them, not what computes', () => {
    const between = step({ a: [4, 6], b: [6, 4], c: [4, 3] }, ({ a, b, c }) =>
      tf.exp(product(tf.transpose(tf.reshape(product(a!, b!), [4, 4])), c!)),
    )
    expect(kindsIn(between)).toEqual(['BatchMatMul', 'Transpose', 'BatchMatMul'])
    const computed = step({ a: [4, 6], b: [6, 4], c: [4, 3] }, ({ a, b, c }) =>
      tf.transpose(tf.exp(product(tf.exp(tf.transpose(product(a!, b!))), c!))),
    )
    expect(kindsIn(computed)).toEqual(['BatchMatMul', 'Transpose', 'BatchMatMul'])
  })

  it('leaves a move alone whose float32 numbers somebody else needs', () => {
    const both = step({ a: [4, 6], b: [4, 5] }, ({ a, b }) => {
      const turned = tf.transpose(a!)
      return tf.add(tf.sum(turned), tf.sum(product(turned, b!)))
    })
    expect(kindsIn(both)).toEqual(['BatchMatMul'])
    const one = step({ a: [4, 6], b: [4, 5] }, ({ a, b }) => product(tf.slice(tf.transpose(a!), [1, 0], [2, 4]), b!))
    expect(kindsIn(one)).toEqual(['Transpose', 'Slice', 'BatchMatMul'])
  })
})

describe('what waits', () => {
  it('is what needs state alone, until the value that it is first used with', () => {
    const decayed = step({ x: [3, 3] }, ({ w, m, x }) => tf.add(tf.mul(m!, 0.9), product(x!, w!)), { w: [3, 3], m: [3, 3] })
    const program = programOf(decayed)
    const waits = laterThan(program)
    const [multiply, matMul] = ['Multiply', 'BatchMatMul'].map((kind) => program.ops.find((op) => op.kind === kind)!)
    expect([...waits]).toEqual([[multiply, matMul!.outputs[0]]])
  })

  it('is not what the value that it would wait for is computed from', () => {
    // The average is used by the sum and, through the product, by what the sum is added to.
    const averaged = step(
      { x: [3, 3] },
      ({ w, x }) => {
        const average = tf.mul(w!, 0.9)
        const early = tf.mul(average, 2)
        return tf.add(early, product(x!, average))
      },
      { w: [3, 3] },
    )
    const program = programOf(averaged)
    const waits = laterThan(program)
    const matMul = program.ops.find((op) => op.kind === 'BatchMatMul')!
    const [average, early] = program.ops.filter((op) => op.kind === 'Multiply')
    expect(waits.get(average!)).toBeUndefined()
    expect(waits.get(early!)).toBe(matMul.outputs[0])
  })
})

describe.skipIf(!tensorflowBuild())('the written graph (skipped until npm run engine:tensorflow)', () => {
  const load = (tested: Step, options = {}) => createExecutor('tensorflow', { threads: 1, ...options }).load(tested, {})
  const worstOf = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)

  it('computes products in bfloat16 and the rest in float32', async () => {
    const sums = step({ a: [8, 32], b: [32, 8] }, ({ a, b }) => tf.concat([product(a!, b!), tf.mul(a!, 1 / 3)], 1))
    const batch = { a: filler([8, 32], 1), b: filler([32, 8], 2) }
    const [plain, rounded] = [await load(sums), await load(sums, { precision: 'bfloat16' })]
    const [exact, coarse] = [(await plain.run(batch, {})).y!, (await rounded.run(batch, {})).y!]
    await plain.dispose()
    await rounded.dispose()
    const part = (y: Float32Array, from: number, to: number) => y.filter((_, i) => i % 40 >= from && i % 40 < to)
    const worst = worstOf(part(exact, 0, 8), part(coarse, 0, 8))
    expect(worst).toBeGreaterThan(1e-4)
    expect(worst).toBeLessThan(0.05)
    expect(part(coarse, 8, 40)).toEqual(part(exact, 8, 40))
  })

  it('gives with XLA what it gives without, within 1e-6', async () => {
    const some = step({ a: [8, 32], b: [32, 8] }, ({ a, b }) => tf.softmax(tf.mul(product(a!, b!), tf.erf(tf.sum(a!)))))
    const batch = { a: filler([8, 32], 1), b: filler([32, 8], 2) }
    const [plain, compiled] = [await load(some), await load(some, { xla: 'on' })]
    expect(worstOf((await plain.run(batch, {})).y!, (await compiled.run(batch, {})).y!)).toBeLessThan(1e-6)
    await plain.dispose()
    await compiled.dispose()
  })

  it('copies a batch array that becomes state: the caller may use it again', async () => {
    const keep: Step = {
      name: 'keep',
      signature: { state: { last: [1024], part: [512] }, batch: { x: [1024] }, scalars: [] },
      run: (_, { x }) => ({
        state: { last: x!, part: tf.slice(tf.reshape(x!, [2, 512]), [0, 0], [1, 512]).reshape([512]) },
        outputs: {},
      }),
    }
    const start = { last: new Float32Array(1024), part: new Float32Array(512) }
    const session = await createExecutor('tensorflow', { threads: 1 }).load(keep, start)
    for (let i = 0; i < 8; i++) {
      const x = filler([1024], i).map((value, j) => (j === 0 ? -0 : value))
      const given = x.slice()
      await session.run({ x }, {})
      x.fill(7)
      expect(session.readState()).toEqual({ last: given, part: given.slice(0, 512) })
      expect(Object.is(session.readState().last![0], -0)).toBe(true)
    }
    await session.dispose()
  })

  it('keeps -0 and what is not a number as they are given', async () => {
    const same: Step = {
      name: 'same',
      signature: { state: { w: [4] }, batch: {}, scalars: [] },
      run: ({ w }) => ({ state: {}, outputs: { w: w! } }),
    }
    const w = Float32Array.of(-0, 0, Number.NaN, Number.NEGATIVE_INFINITY)
    const session = await createExecutor('tensorflow', { threads: 1 }).load(same, { w })
    expect(session.readState()).toEqual({ w })
    session.writeState({ w: w.toReversed() })
    expect(await session.run({}, {})).toEqual({ w: w.toReversed() })
    await session.dispose()
  })
})
