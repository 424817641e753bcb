import { beforeEach, describe, expect, it } from 'vitest'
import {
  backboneInitialState,
  classifierScalars,
  finetuneInitialState,
  finetuneStep,
  type StateArrays,
  type Step,
  type TensorMap,
  tf,
} from '#libs/msn'
import { createExecutor, resolveEngine } from './engines.ts'
import {
  EngineLoadError,
  EngineRunError,
  FeedMismatchError,
  SessionUseError,
  StateMismatchError,
  StepContractError,
  UnsupportedOptionError,
} from './errors.ts'
import { ENGINES, type EngineName, type Session } from './executor.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import { tensorflowBuild } from './tensorflow/runtime.ts'
import { filler, regressionBatch, regressionState, regressionStep, streamOf } from './testing.ts'

type Tensor = TensorMap[string]

const load = (engine: EngineName, step: Step, state: StateArrays): Promise<Session> =>
  createExecutor(engine, { threads: 2 }).load(step, state)

async function withSession<T>(
  engine: EngineName,
  step: Step,
  state: StateArrays,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await load(engine, step, state)
  try {
    return await use(session)
  } finally {
    await session.dispose()
  }
}

const withRegression = <T>(engine: EngineName, use: (session: Session) => Promise<T>): Promise<T> =>
  withSession(engine, regressionStep, regressionState(), use)

const COMPILED = ['onnx', 'tensorflow'] as const

/** An engine that stands here; `npm run engine:tensorflow` builds the one that may not. */
const stands = (engine: EngineName): boolean => engine !== 'tensorflow' || tensorflowBuild() !== null

describe.each(ENGINES)('a session of the %s engine (tensorflow: skipped until npm run engine:tensorflow)', (engine) => {
  beforeEach(({ skip }) => skip(!stands(engine), 'not built here'))

  it('learns: the loss falls step by step on a fixed batch', async () => {
    const losses = await withRegression(engine, async (session) => {
      const seen: number[] = []
      for (let step = 0; step < 6; step++) seen.push((await session.run(regressionBatch(), { lr: 0.1 })).loss![0]!)
      return seen
    })
    for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThan(losses[i - 1]!)
  })

  it('applies the arithmetic of the step to state, batch and scalars', async () => {
    const step: Step = {
      name: 'accumulate',
      signature: { state: { sum: [2] }, batch: { x: [2] }, scalars: ['factor'] },
      run: ({ sum }, { x }, { factor }) => ({ state: { sum: tf.add(sum!, tf.mul(x!, factor!)) }, outputs: { before: sum! } }),
    }
    await withSession(engine, step, { sum: Float32Array.of(1, 2) }, async (session) => {
      expect(await session.run({ x: Float32Array.of(1, -1) }, { factor: 2 })).toEqual({ before: Float32Array.of(1, 2) })
      expect(await session.run({ x: Float32Array.of(5, 5) }, { factor: 0.5 })).toEqual({ before: Float32Array.of(3, 0) })
      expect(session.readState()).toEqual({ sum: Float32Array.of(5.5, 2.5) })
    })
  })

  it('keeps entries that the step hands through or leaves out', async () => {
    await withRegression(engine, async (session) => {
      await session.run(regressionBatch(), { lr: 0.1 })
      expect(session.readState(['scale'])).toEqual({ scale: Float32Array.of(1, 2) })
      expect(session.readState().weight).not.toEqual(regressionState().weight)
    })
  })

  it('takes one tensor returned under two names, and entries that change places', async () => {
    const step: Step = {
      name: 'swap',
      signature: { state: { a: [2], b: [2], c: [2], d: [2] }, batch: {}, scalars: [] },
      run: ({ a, b }) => {
        const sum = tf.add(a!, b!)
        return { state: { a: b!, b: a!, c: sum, d: sum }, outputs: { sum, again: sum } }
      },
    }
    const start = { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4), c: new Float32Array(2), d: new Float32Array(2) }
    await withSession(engine, step, start, async (session) => {
      for (let i = 0; i < 3; i++) {
        expect(await session.run({}, {})).toEqual({ sum: Float32Array.of(4, 6), again: Float32Array.of(4, 6) })
      }
      const sum = Float32Array.of(4, 6)
      expect(session.readState()).toEqual({ a: start.b, b: start.a, c: sum, d: sum })
    })
  })

  it('copies what it is given and what it gives', async () => {
    const state = regressionState()
    await withSession(engine, regressionStep, state, async (session) => {
      state.weight!.fill(7)
      expect(session.readState().weight).toEqual(regressionState().weight)
      const read = session.readState()
      for (const array of Object.values(read)) array.fill(9)
      expect(session.readState()).toEqual(regressionState())
      const written = Float32Array.of(5, 6)
      session.writeState({ bias: written })
      written.fill(0)
      expect(session.readState(['bias'])).toEqual({ bias: Float32Array.of(5, 6) })
      const first = await session.run(regressionBatch(), { lr: 0.1 })
      const kept = first.loss![0]
      const afterOne = session.readState()
      const copy = structuredClone(afterOne)
      await session.run(regressionBatch(9), { lr: 0.1 })
      expect(first.loss![0]).toBe(kept)
      expect(afterOne).toEqual(copy)
    })
  })

  it('goes on from written state bit for bit as from its own', async () => {
    await withRegression(engine, async (session) => {
      for (let i = 0; i < 3; i++) await session.run(regressionBatch(i), { lr: 0.1 })
      const middle = session.readState()
      await session.run(regressionBatch(3), { lr: 0.1 })
      const expected = session.readState()
      await withRegression(engine, async (resumed) => {
        await resumed.run(regressionBatch(30), { lr: 0.3 })
        resumed.writeState(middle)
        await resumed.run(regressionBatch(3), { lr: 0.1 })
        expect(resumed.readState()).toEqual(expected)
      })
    })
  })

  it('refuses state that does not fit, naming the entry, and changes nothing', async () => {
    const { weight: _, ...incomplete } = regressionState()
    await expect(load(engine, regressionStep, incomplete)).rejects.toThrow(new StateMismatchError('weight', 'is missing'))
    const long = { ...regressionState(), bias: new Float32Array(3) }
    await expect(load(engine, regressionStep, long)).rejects.toThrow('state entry bias has 3 values, but shape [2] needs 2')
    await withRegression(engine, async (session) => {
      expect(() => session.writeState({ scale: Float32Array.of(9, 9), bias: new Float32Array(1) })).toThrow(StateMismatchError)
      expect(() => session.writeState({ other: new Float32Array(1) })).toThrow('state entry other is not in the signature')
      expect(() => session.readState(['other'])).toThrow('state entry other is not in the signature')
      expect(session.readState()).toEqual(regressionState())
    })
  })

  it('refuses feeds that do not fit, naming them', async () => {
    await withRegression(engine, async (session) => {
      const { x, y } = regressionBatch()
      await expect(session.run({ x: x! }, { lr: 1 })).rejects.toThrow(new FeedMismatchError('batch', 'y', 'is missing'))
      await expect(session.run({ x: x!, y: new Float32Array(3) }, { lr: 1 })).rejects.toThrow('batch y has 3 values')
      await expect(session.run({ x: x!, y: y!, z: y! }, { lr: 1 })).rejects.toThrow('batch z is not in the signature')
      await expect(session.run({ x: x!, y: y! }, {})).rejects.toThrow('scalar lr is missing')
      await expect(session.run({ x: x!, y: y! }, { lr: 1, wd: 0 })).rejects.toThrow('scalar wd is not in the signature')
      expect(session.readState()).toEqual(regressionState())
    })
  })

  it('says so when it is used after dispose, which may be called twice', async () => {
    const session = await load(engine, regressionStep, regressionState())
    await session.dispose()
    await session.dispose()
    expect(() => session.readState()).toThrow(SessionUseError)
    expect(() => session.writeState({})).toThrow(SessionUseError)
    await expect(session.run(regressionBatch(), { lr: 1 })).rejects.toThrow(SessionUseError)
  })

  it('refuses a step whose new state does not fit its signature', async () => {
    const step: Step = {
      name: 'misshapen',
      signature: { state: { w: [2, 3] }, batch: {}, scalars: [] },
      run: ({ w }) => ({ state: { w: tf.sum(w!, 0) }, outputs: {} }),
    }
    const use = withSession(engine, step, { w: new Float32Array(6) }, (session) => session.run({}, {}))
    await expect(use).rejects.toThrow(StepContractError)
  })

  it('runs five steps of a ViT twice with bit-identical state', async () => {
    const [first, second] = [await trainVit(engine, 5), await trainVit(engine, 5)]
    expect(first.losses).toEqual(second.losses)
    expect(first.state).toEqual(second.state)
  })

  it('leaves no tfjs tensor behind: none a step, none after dispose', async () => {
    const before = tf.memory().numTensors
    const session = await load(engine, regressionStep, regressionState())
    await session.run(regressionBatch(), { lr: 0.1 })
    const afterOne = tf.memory().numTensors
    for (let i = 0; i < 4; i++) await session.run(regressionBatch(i), { lr: 0.1 })
    session.writeState(regressionState())
    expect(tf.memory().numTensors).toBe(afterOne)
    await session.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })
})

const backbone = { dim: 24, depth: 3, heads: 3, mlpRatio: 4, patchPx: 4, imagePx: 16, layerNormEps: 1e-6 }
const adam = { betas: [0.9, 0.999], eps: 1e-8 } as const
const [batchSize, labels] = [4, 5]

/** Losses and last state of a small ViT with a linear head, trained by Adam on batches of noise. */
async function trainVit(engine: EngineName, steps: number): Promise<{ losses: number[]; state: StateArrays }> {
  const step = finetuneStep(backbone, { labels, batch: batchSize, ...adam })
  const start = finetuneInitialState(backbone, labels, backboneInitialState(backbone, streamOf), streamOf)
  return withSession(engine, step, start, async (session) => {
    const losses: number[] = []
    for (let i = 0; i < steps; i++) {
      // Three batches in turn, so that there is something to learn.
      const batch = {
        patches: filler([batchSize, 16, 48], 100 + (i % 3)),
        targets: filler([batchSize, labels], 200 + (i % 3), 0.5, 0.5).map(Math.round),
        weights: new Float32Array(batchSize * labels).fill(1),
      }
      losses.push(
        (await session.run(batch, classifierScalars({ lr: 1e-3, weightDecay: 0, betas: adam.betas, step: i }))).loss![0]!,
      )
    }
    return { losses, state: session.readState() }
  })
}

describe.each(COMPILED)('eager and %s (tensorflow: skipped until npm run engine:tensorflow)', (engine) => {
  beforeEach(({ skip }) => skip(!stands(engine), 'not built here'))

  it('train a small ViT alike: losses within 1e-5 and weights within 1e-4 over 20 steps', async () => {
    const [eager, compiled] = [await trainVit('eager', 20), await trainVit(engine, 20)]
    expect(eager.losses.at(-1)).toBeLessThan(eager.losses[0]! - 0.1)
    eager.losses.forEach((loss, i) => {
      expect(Math.abs(compiled.losses[i]! - loss)).toBeLessThan(1e-5)
    })
    for (const [name, values] of Object.entries(eager.state)) {
      // The gradient of the key biases is mathematically zero, and Adam turns its float noise into steps.
      if (name.endsWith('attn.qkv.bias')) continue
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(compiled.state[name]![i]! - value)), 0)
      expect(worst, name).toBeLessThan(1e-4)
    }
  })

  it('refuse to be read, written, run or disposed while a step runs, and go on afterwards', async () => {
    await withRegression(engine, async (session) => {
      const running = session.run(regressionBatch(), { lr: 0.1 })
      expect(() => session.readState()).toThrow(SessionUseError)
      expect(() => session.writeState({})).toThrow(SessionUseError)
      await expect(session.run(regressionBatch(), { lr: 0.1 })).rejects.toThrow(SessionUseError)
      await expect(session.dispose()).rejects.toThrow(SessionUseError)
      expect((await running).loss).toHaveLength(1)
      expect(Object.keys(session.readState())).toEqual(['weight', 'bias', 'scale'])
    })
  })

  it('tell apart that memory ran out, and keep the state of the step before', async () => {
    const size = 1 << 20
    await withSession(engine, hungryStep, { w: new Float32Array(size) }, async (session) => {
      const error = await session.run({ x: new Float32Array(size) }, {}).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(EngineRunError)
      expect(isOutOfMemory(error)).toBe(true)
      expect(session.readState().w!.every((value) => value === 0)).toBe(true)
    })
  })
})

/** Its product has 2^20 x 2^20 float32 values, four terabytes. */
const hungryStep: Step = {
  name: 'hungry',
  signature: { state: { w: [1 << 20, 1] }, batch: { x: [1, 1 << 20] }, scalars: [] },
  run: ({ w }, { x }) => {
    const product = tf.matMul(w as never, x as never) as Tensor
    return { state: { w: tf.add(w!, 1) }, outputs: { max: tf.max(tf.exp(product)) } }
  },
}

describe('failures while a step runs', () => {
  it('a step that throws in the eager engine is an error of the run with its cause', async () => {
    const step: Step = {
      name: 'failing',
      signature: { state: {}, batch: {}, scalars: [] },
      run: () => {
        throw new RangeError('no')
      },
    }
    const use = withSession('eager', step, {}, (session) => session.run({}, {}))
    await expect(use).rejects.toThrow(new EngineRunError('failing', { cause: new RangeError('no') }))
  })

  it.each([
    ['Failed to allocate memory for requested buffer of size 4398046511104', true],
    ['Session fail to run with error: OOM when allocating tensor with shape[4]', true],
    ['std::bad_alloc', true],
    ['Array buffer allocation failed', true],
    ['step x failed: Non-zero status code returned while running MatMul node', false],
    ['matMul: inner shapes differ', false],
  ])('isOutOfMemory of "%s" is %s, also as a cause', (message, expected) => {
    expect(isOutOfMemory(new Error(message))).toBe(expected)
    expect(isOutOfMemory(new Error('outer', { cause: new Error(message) }))).toBe(expected)
  })

  it('isOutOfMemory of something that is no error is false', () => {
    expect([undefined, null, 7, {}].map(isOutOfMemory)).toEqual([false, false, false, false])
  })
})

describe('choosing an engine', () => {
  it('auto means TensorFlow where it is built, else onnx, and says why', () => {
    expect(resolveEngine('auto', null)).toEqual({ engine: 'onnx', reason: expect.stringContaining('npm run engine:tensorflow') })
    expect(resolveEngine('auto', { flavour: 'gpu', tensorflow: '2.21.0' })).toEqual({
      engine: 'tensorflow',
      reason: 'auto: TensorFlow 2.21.0 (gpu) is built here',
    })
  })

  it('a named engine is taken as it is; tensorflow has to be built', () => {
    for (const engine of ENGINES)
      expect(resolveEngine(engine, { flavour: 'cpu', tensorflow: '2.21.0' })).toMatchObject({ engine })
    expect(() => resolveEngine('tensorflow', null)).toThrow(
      new EngineLoadError('ENGINE=tensorflow: TensorFlow is not built here; npm run engine:tensorflow builds it'),
    )
  })

  it.each(['eager', 'onnx'] as const)('%s refuses what it cannot do', (engine) => {
    expect(() => createExecutor(engine, { threads: 1, precision: 'bfloat16' })).toThrow(UnsupportedOptionError)
    expect(() => createExecutor(engine, { threads: 1, xla: 'on' })).toThrow(
      `xla on needs the tensorflow engine, and this one is ${engine}`,
    )
    expect(createExecutor(engine, { threads: 1, precision: 'float32', xla: 'off' }).name).toBe(engine)
  })

  it.each([0, -1, 1.5, Number.NaN])('refuses %s threads', (threads) => {
    expect(() => createExecutor('onnx', { threads })).toThrow(RangeError)
  })
})
