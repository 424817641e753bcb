import { describe, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { type StateArrays, type Step, type TensorMap, tf } from '#libs/msn'
import { NonFiniteError } from './errors.ts'
import { explainNonFinite, type FailedLoop } from './explain-non-finite.ts'
import type { PretrainLearner } from './learner.ts'
import { msnLearner } from './msn-learner.ts'
import type { PretrainDataSource } from './ports.ts'
import { madeSource, memoryCheckpoints, miniSpec } from './testing.ts'

const executor = createExecutor('onnx', { threads: 1 })
const control = { stopRequested: () => false, now: () => 0 }

/** What the loop's error becomes after a step that starts from `state`, as the last checkpoint holds it. */
async function explained(
  learner: PretrainLearner,
  state: StateArrays,
  over: Partial<FailedLoop> = {},
  step = 0,
): Promise<NonFiniteError> {
  const checkpoints = memoryCheckpoints()
  const tensors = Object.fromEntries(
    Object.entries(state).map(([name, data]) => [name, { shape: learner.step.signature.state[name]!, data }]),
  )
  await checkpoints.save({ step: 0, meta: {}, tensors }, 'periodic')
  const source = madeSource(miniSpec(), 3)
  const session = await executor.load(learner.step, learner.initialState())
  const loop = { learner, executor, source, checkpoints, control, ...over }
  try {
    return await explainNonFinite(loop, session, new NonFiniteError('loss', step))
  } finally {
    await session.dispose()
  }
}

describe('what went bad first', () => {
  const learner = msnLearner(miniSpec())
  const withEntry = (name: string, value: number) => {
    const state = learner.initialState()
    state[name]!.fill(value)
    return state
  }

  it('is an array of the batch where one is not finite', async () => {
    const good = madeSource(miniSpec(), 3)
    const source: PretrainDataSource = {
      ...good,
      views: async (epoch, step) => {
        const views = await good.views(epoch, step)
        views.views.random!.data[0] = Number.NaN
        return views
      },
    }
    expect(await explained(learner, learner.initialState(), { source })).toMatchObject({
      tensor: 'batch random.patches',
      step: 0,
    })
  })

  it('is a state entry where one is not finite', async () => {
    const name = 'adam.v.blocks.1.mlp.fc1.bias'
    expect(await explained(learner, withEntry(name, Number.POSITIVE_INFINITY))).toMatchObject({ tensor: `state ${name}` })
  })

  it('is the first value of the forward pass that overflows', async () => {
    expect(await explained(learner, withEntry('target.norm.weight', 3e38))).toMatchObject({ tensor: 'zTarget' })
    expect(await explained(learner, withEntry('online.norm.weight', 3e38))).toMatchObject({ tensor: 'headInput' })
  })

  it('is looked for in the state that the steps since the checkpoint led to', async () => {
    const wild = miniSpec()
    const { lr } = wild.optimiser
    const learner = msnLearner({ ...wild, optimiser: { ...wild.optimiser, lr: { ...lr, start: 1e38, peak: 1e38, final: 1e38 } } })
    const session = await executor.load(learner.step, learner.initialState())
    const { views } = madeSource(wild, 3)
    const position = { step: 0, epoch: 0, stepsPerEpoch: 3 }
    const first = await session.run(learner.batch(await views(0, 0), position), learner.scalars(position))
    expect(Number.isFinite(first.loss![0])).toBe(true)
    await session.dispose()
    // The update itself overflowed.
    expect((await explained(learner, learner.initialState(), {}, 1)).tensor).toBe('state online.cls_token')
  })

  it('stays unknown where the supervisor asks to stop', async () => {
    const over = { control: { ...control, stopRequested: () => true } }
    expect(await explained(learner, withEntry('online.norm.weight', 3e38), over, 1)).toMatchObject({ tensor: 'loss' })
  })

  it('stays unknown where looking fails, and says why in its cause', async () => {
    const checkpoints = { ...memoryCheckpoints(), latest: () => Promise.reject(new Error('the store is away')) }
    const error = await explained(learner, learner.initialState(), { checkpoints })
    expect(error).toMatchObject({ tensor: 'loss', cause: expect.objectContaining({ message: 'the store is away' }) })
  })
})

it('is a gradient where the loss itself is finite: the root of a weight that reached 0', async () => {
  const forward = ({ w }: TensorMap, { x }: TensorMap) => tf.sum(tf.mul(tf.sqrt(w!), x!))
  const run =
    (shown: boolean): Step['run'] =>
    (state, batch) => {
      const gradient = tf.grad((w) => forward({ w }, batch))(state.w!)
      const loss = forward(state, batch)
      const outputs: TensorMap = shown ? { loss, 'grad.w': gradient } : { loss, gradNorm: tf.norm(gradient) }
      const next: TensorMap = shown ? {} : { w: tf.sub(state.w!, gradient) }
      return { state: next, outputs }
    }
  const signature = { state: { w: [2] }, batch: { x: [2] }, scalars: [] }
  const learner: PretrainLearner = {
    step: { name: 'root', signature, run: run(false) },
    probe: { step: { name: 'root-probe', signature, run: run(true) }, order: ['loss', 'grad.w'] },
    watched: ['loss', 'gradNorm'],
    initialState: () => ({ w: Float32Array.of(1, 1) }),
    batch: () => ({ x: Float32Array.of(1, 1) }),
    scalars: () => ({}),
    scheduleMetrics: () => ({}),
  }
  expect(await explained(learner, { w: Float32Array.of(0, 1) })).toMatchObject({ tensor: 'gradient of w', step: 0 })
})
