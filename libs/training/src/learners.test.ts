import { beforeEach, describe, expect, it } from 'vitest'
import { createExecutor, tensorflowBuild } from '#libs/engine'
import type { TrainedPretrainSpec } from '#libs/experiments'
import { backboneOf, DINO_OUTPUTS, MAE_OUTPUTS } from '#libs/msn'
import { StoppedError } from './errors.ts'
import { evaluate } from './evaluate.ts'
import { isEvaluable, learnerOf } from './learners.ts'
import type { CheckpointStore, StoredCheckpoint } from './ports.ts'
import { pretrain } from './pretrain.ts'
import {
  madeSource,
  madeSplit,
  memoryCheckpoints,
  memoryMetrics,
  miniDinoSpec,
  miniEvaluateSpec,
  miniMaeSpec,
  miniSpec,
} from './testing.ts'

const STEPS_PER_EPOCH = 3
const never = { everyMs: Number.POSITIVE_INFINITY, epochFloorMs: Number.POSITIVE_INFINITY }

type Engine = 'onnx' | 'tensorflow'

function train(spec: TrainedPretrainSpec, engine: Engine, checkpoints: CheckpointStore, stopAfter?: number) {
  let asked = 0
  const metrics = memoryMetrics()
  const summary = pretrain({
    learner: learnerOf(spec),
    executor: createExecutor(engine, { threads: 2 }),
    source: madeSource(spec, STEPS_PER_EPOCH),
    checkpoints,
    metrics,
    control: { stopRequested: () => ++asked === stopAfter, now: () => performance.now() },
    epochs: spec.epochs,
    cadence: never,
    select: spec.selectCheckpoint,
    evaluable: isEvaluable,
  })
  return summary.then((done) => ({ ...done, points: metrics.points }))
}

const stateOf = ({ tensors }: StoredCheckpoint) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]))

const CASES = [
  {
    method: 'dino',
    spec: miniDinoSpec(),
    outputs: DINO_OUTPUTS,
    schedule: ['lr', 'wd', 'momentum'],
    networks: ['online', 'target'],
  },
  { method: 'mae', spec: miniMaeSpec(), outputs: MAE_OUTPUTS, schedule: ['lr', 'wd'], networks: ['online'] },
] as const

describe.each(CASES)('pretraining with $method', ({ spec, outputs, schedule, networks }) => {
  describe.each(['onnx', 'tensorflow'] as const)('on %s (tensorflow: skipped until npm run engine:tensorflow)', (engine) => {
    beforeEach(({ skip }) => skip(engine === 'tensorflow' && tensorflowBuild() === null, 'not built here'))

    // Step 4 lies in the second epoch, in which DINO's last layer begins to move.
    it.each([1, 4])(
      'stopped after step %i and resumed ends with the weights of an undisturbed run, bit for bit',
      async (stopAfter) => {
        const [undisturbed, stopped] = [memoryCheckpoints(), memoryCheckpoints()]
        await train(spec, engine, undisturbed)
        await expect(train(spec, engine, stopped, stopAfter)).rejects.toThrow(StoppedError)
        expect((await train(spec, engine, stopped)).resumedFromStep).toBe(stopAfter)
        for (const role of ['best', 'final'] as const) {
          const [expected, found] = [await undisturbed.load(role), await stopped.load(role)]
          expect(stateOf(found)).toEqual(stateOf(expected))
          expect(found.meta).toEqual(expected.meta)
        }
      },
    )
  })

  it('reports loss, diagnostics and schedule of each step', async () => {
    const { points } = await train(spec, 'onnx', memoryCheckpoints())
    for (const name of [...outputs, ...schedule]) {
      const own = points.filter((point) => point.name === name)
      expect(
        own.map(({ step }) => step),
        name,
      ).toEqual([0, 1, 2, 3, 4, 5])
      expect(
        own.every(({ value }) => Number.isFinite(value)),
        name,
      ).toBe(true)
    }
  })

  it('starts from the backbone that every method of its seed starts from', () => {
    const [own, msn] = [learnerOf(spec).initialState(), learnerOf(miniSpec()).initialState()]
    const expected = backboneOf(msn, 'online')
    expect(Object.keys(expected).length).toBeGreaterThan(20)
    for (const network of networks) expect(backboneOf(own, network)).toEqual(expected)
    const other = learnerOf({ ...spec, seed: 6 }).initialState()
    expect(backboneOf(other, 'online')).not.toEqual(expected)
  })

  it('leaves a checkpoint whose networks can be evaluated', async () => {
    const checkpoints = memoryCheckpoints()
    await train(spec, 'onnx', checkpoints)
    const { backbone } = spec
    const split = (name: 'train' | 'validation' | 'test', images: number) => madeSplit(name, images, backbone.imagePx)
    const best = stateOf(await checkpoints.load('best'))
    expect(Object.keys(best).some((name) => name.startsWith('adam.'))).toBe(false)
    for (const network of networks) {
      const { results } = await evaluate({
        spec: miniEvaluateSpec({ network }),
        backbone,
        weights: backboneOf(best, network),
        executor: createExecutor('onnx', { threads: 2 }),
        source: { train: split('train', 43), validation: split('validation', 13), test: split('test', 21) },
        metrics: memoryMetrics(),
        control: { stopRequested: () => false, now: () => performance.now() },
      })
      expect(results.find(({ label, metric }) => label === 'macro' && metric === 'auroc')!.value).toBeGreaterThan(0.5)
    }
  })

  it('has a probe that shows what it names, every gradient included', async () => {
    const { probe, step, initialState, batch, scalars } = learnerOf(spec)
    const position = { step: 0, epoch: 0, stepsPerEpoch: STEPS_PER_EPOCH }
    const feeds = batch(await madeSource(spec, STEPS_PER_EPOCH).views(0, 0), position)
    const session = await createExecutor('onnx', { threads: 2 }).load(probe!.step, initialState())
    const shown = await session.run(feeds, scalars(position))
    await session.dispose()
    expect(Object.keys(shown).sort()).toEqual([...probe!.order].sort())
    const trained = Object.keys(step.signature.state).filter((name) => name.startsWith('adam.m.'))
    expect(probe!.order.filter((name) => name.startsWith('grad.'))).toHaveLength(trained.length)
  })
})

it('an image is masked anew each epoch, and alike whatever batch it comes in', async () => {
  const spec = miniMaeSpec()
  const learner = learnerOf(spec)
  const views = await madeSource(spec, STEPS_PER_EPOCH).views(0, 0)
  const backwards = { ...views, sampleKeys: [...views.sampleKeys].reverse() }
  const keptAt = (epoch: number, batch = views) => {
    const positions = learner.batch(batch, { step: 0, epoch, stepsPerEpoch: STEPS_PER_EPOCH })['kept.positions']!
    const width = positions.length / spec.batch
    return Array.from({ length: spec.batch }, (_, row) => positions.slice(row * width, (row + 1) * width).join(''))
  }
  expect(keptAt(1)).toEqual(keptAt(1))
  expect(keptAt(1)).not.toEqual(keptAt(0))
  expect(keptAt(0, backwards)).toEqual(keptAt(0).reverse())
})
