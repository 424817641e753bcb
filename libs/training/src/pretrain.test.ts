import { describe, expect, it } from 'vitest'
import { createExecutor, type Executor } from '#libs/engine'
import { ArtifactMismatchError, NonFiniteError, StoppedError } from './errors.ts'
import { msnLearner } from './msn-learner.ts'
import type { CheckpointStore, PretrainDataSource } from './ports.ts'
import { pretrain } from './pretrain.ts'
import { madeSource, memoryCheckpoints, memoryMetrics, miniSpec } from './testing.ts'

const STEPS_PER_EPOCH = 3
const never = { everyMs: Number.POSITIVE_INFINITY, epochFloorMs: Number.POSITIVE_INFINITY }

interface Options {
  readonly executor?: Executor
  readonly source?: PretrainDataSource
  readonly checkpoints: CheckpointStore
  readonly metrics?: ReturnType<typeof memoryMetrics>
  /** Ask to stop once so many steps were begun. */
  readonly stopAfter?: number
  readonly spec?: ReturnType<typeof miniSpec>
}

function train({ executor, source, checkpoints, metrics, stopAfter, spec = miniSpec() }: Options) {
  let asked = 0
  const made = source ?? madeSource(spec, STEPS_PER_EPOCH)
  return pretrain({
    learner: msnLearner(spec),
    executor: executor ?? createExecutor('onnx', { threads: 2 }),
    source: made,
    checkpoints,
    metrics: metrics ?? memoryMetrics(),
    control: { stopRequested: () => ++asked === stopAfter, now: () => performance.now() },
    epochs: spec.epochs,
    cadence: never,
    select: spec.selectCheckpoint,
    evaluable: (name) => name.startsWith('target.'),
  })
}

describe('pretraining', () => {
  it.each([1, 3, 4])(
    'stopped after step %i and resumed ends with the weights of an undisturbed run, bit for bit',
    async (stopAfter) => {
      const undisturbed = memoryCheckpoints()
      await train({ checkpoints: undisturbed })
      const stopped = memoryCheckpoints()
      await expect(train({ checkpoints: stopped, stopAfter })).rejects.toThrow(StoppedError)
      const summary = await train({ checkpoints: stopped })
      expect(summary.resumedFromStep).toBe(stopAfter)
      for (const role of ['best', 'final'] as const) {
        const expected = await undisturbed.load(role)
        const found = await stopped.load(role)
        expect(Object.keys(found.tensors)).toEqual(Object.keys(expected.tensors))
        for (const [name, { data }] of Object.entries(expected.tensors)) expect(found.tensors[name]!.data, name).toEqual(data)
        expect(found.meta).toEqual(expected.meta)
      }
    },
  )

  it('reports each step once, with finite losses and the schedule', async () => {
    const metrics = memoryMetrics()
    await train({ checkpoints: memoryCheckpoints(), metrics })
    const losses = metrics.points.filter(({ name }) => name === 'loss')
    expect(losses.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5])
    expect(losses.every(({ value }) => Number.isFinite(value) && value > 0)).toBe(true)
    expect(metrics.points.filter(({ name }) => name === 'epochLoss')).toHaveLength(2)
    expect(metrics.points.filter(({ name }) => name === 'lr').map(({ value }) => value)[0]).toBe(miniSpec().optimiser.lr.peak)
  })

  it('commits the epoch of the lowest mean loss as best', async () => {
    const checkpoints = memoryCheckpoints()
    const metrics = memoryMetrics()
    const summary = await train({ checkpoints, metrics })
    const losses = metrics.points.filter(({ name }) => name === 'epochLoss').map(({ value }) => value)
    expect(summary.bestEpochLoss).toBe(Math.min(...losses))
    expect(summary.bestEpoch).toBe(losses.indexOf(Math.min(...losses)))
    expect(Object.keys((await checkpoints.load('best')).tensors).every((name) => name.startsWith('target.'))).toBe(true)
  })

  it('ends as non-finite at the step that went bad, and commits nothing after it', async () => {
    const good = madeSource(miniSpec(), STEPS_PER_EPOCH)
    const source: PretrainDataSource = {
      ...good,
      views: async (epoch, step) => {
        const views = await good.views(epoch, step)
        if (epoch === 1 && step === 1) views.views.target?.data.fill(Number.NaN)
        return views
      },
    }
    const checkpoints = memoryCheckpoints()
    const failed = await train({ checkpoints, source }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(NonFiniteError)
    expect(failed).toMatchObject({ tensor: 'batch target.patches', step: STEPS_PER_EPOCH + 1 })
    expect(checkpoints.saved).toEqual([])
  })

  it('refuses a checkpoint of another shape by the name of the tensor', async () => {
    const checkpoints = memoryCheckpoints()
    await expect(train({ checkpoints, stopAfter: 1 })).rejects.toThrow(StoppedError)
    const spec = miniSpec({ prototypes: { count: 6, trainable: true } })
    const failed = await train({ checkpoints, spec }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(ArtifactMismatchError)
    expect(String(failed)).toContain('prototypes')
  })
})
