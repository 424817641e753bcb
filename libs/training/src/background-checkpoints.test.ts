import { describe, expect, it } from 'vitest'
import { createExecutor, type Executor } from '#libs/engine'
import { NonFiniteError } from './errors.ts'
import { msnLearner } from './msn-learner.ts'
import type { ArtifactRef, CheckpointStore, StoredCheckpoint } from './ports.ts'
import { pretrain } from './pretrain.ts'
import { madeSource, memoryCheckpoints, memoryMetrics, miniSpec } from './testing.ts'

const STEPS_PER_EPOCH = 4
const STEPS = 2 * STEPS_PER_EPOCH
const ALWAYS = { everyMs: 0, epochFloorMs: 0 }
const REF: ArtifactRef = { name: 'state', sha256: '0'.repeat(64), sizeBytes: 0 }

interface Write {
  readonly role: string
  readonly step: number
  /** Steps done when it began. */
  readonly begunAt: number
  finish(): void
  fail(error: Error): void
}

/** A store whose writes end when the test says so. */
function slowStore(stepsDone: () => number) {
  const writes: Write[] = []
  let open = 0
  let most = 0
  const store: CheckpointStore = {
    latest: async () => undefined,
    load: () => Promise.reject(new Error('nothing was saved')),
    save: ({ step }: StoredCheckpoint, role) => {
      most = Math.max(most, ++open)
      return new Promise<ArtifactRef>((resolve, reject) => {
        let isOpen = true
        const end = (how: () => void) => () => {
          if (isOpen) open--
          isOpen = false
          how()
        }
        writes.push({
          role,
          step,
          begunAt: stepsDone(),
          finish: end(() => resolve(REF)),
          fail: (error) => end(() => reject(error))(),
        })
      })
    },
  }
  return { store, writes, mostAtOnce: () => most }
}

function begin(over: { executor?: Executor; onStep?: (step: number, writes: Write[]) => void } = {}) {
  const metrics = memoryMetrics()
  const steps = () => metrics.points.filter(({ name }) => name === 'loss').length
  const slow = slowStore(steps)
  const spec = miniSpec()
  let asked = 0
  const running = pretrain({
    learner: msnLearner(spec),
    executor: over.executor ?? createExecutor('onnx', { threads: 1 }),
    source: madeSource(spec, STEPS_PER_EPOCH),
    checkpoints: slow.store,
    metrics,
    control: {
      // Asked once a step.
      stopRequested: () => {
        over.onStep?.(++asked, slow.writes)
        return false
      },
      now: () => performance.now(),
    },
    epochs: spec.epochs,
    cadence: ALWAYS,
    select: spec.selectCheckpoint,
    evaluable: (name) => name.startsWith('target.'),
  })
  return { running, steps, ...slow }
}

/** Lets the loop go on until `reached`. */
async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise(setImmediate)
}

describe('a checkpoint on its way', () => {
  it('does not hold the training up, and no second one is taken meanwhile', async () => {
    const { running, steps, writes, mostAtOnce } = begin()
    await until(() => steps() === STEPS)
    expect(writes.map(({ role, step }) => ({ role, step }))).toEqual([{ role: 'periodic', step: 1 }])
    writes[0]!.finish()
    // The end waits for the first, then for the best and the final one, in this order.
    await until(() => writes.length === 2)
    writes[1]!.finish()
    await until(() => writes.length === 3)
    expect(writes.map(({ role }) => role)).toEqual(['periodic', 'best', 'final'])
    let ended = false
    void running.then(() => {
      ended = true
    })
    await new Promise(setImmediate)
    expect(ended).toBe(false)
    writes[2]!.finish()
    await running
    expect(mostAtOnce()).toBe(1)
  })

  it('is followed by the next at once where one is due', async () => {
    const { running, writes, mostAtOnce } = begin({ onStep: (_, all) => all.at(-1)?.finish() })
    await until(() => {
      writes.at(-1)?.finish()
      return writes.at(-1)?.role === 'final'
    })
    await running
    expect(mostAtOnce()).toBe(1)
    const periodic = writes.filter(({ role }) => role === 'periodic').map(({ step }) => step)
    expect(periodic).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('that fails for good ends the run with its own error', async () => {
    const { running } = begin({ onStep: (step, writes) => step === 3 && writes[0]!.fail(new NonFiniteError('state w', 1)) })
    await expect(running).rejects.toMatchObject({ tensor: 'state w', step: 1 })
  })

  it('is finished before the process may end, where the engine runs out of memory in the middle', async () => {
    const onnx = createExecutor('onnx', { threads: 1 })
    const executor: Executor = {
      ...onnx,
      load: async (step, state) => {
        const session = await onnx.load(step, state)
        let left = 3
        const run: typeof session.run = (batch, scalars) =>
          left-- > 0 ? session.run(batch, scalars) : Promise.reject(new Error('std::bad_alloc'))
        return Object.assign(Object.create(session), {
          run,
          readState: (names?: readonly string[]) => session.readState(names),
          dispose: () => session.dispose(),
        })
      },
    }
    const { running, writes } = begin({ executor })
    let ended = false
    const failed = running.catch((error: unknown) => {
      ended = true
      return String(error)
    })
    await until(() => writes.length === 1)
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    expect(ended).toBe(false)
    writes[0]!.finish()
    expect(await failed).toContain('std::bad_alloc')
    expect(writes).toHaveLength(1)
  })
})

it('a run goes on from what was committed behind its back', async () => {
  const checkpoints = memoryCheckpoints()
  const spec = miniSpec()
  await pretrain({
    learner: msnLearner(spec),
    executor: createExecutor('onnx', { threads: 1 }),
    source: madeSource(spec, STEPS_PER_EPOCH),
    checkpoints,
    metrics: memoryMetrics(),
    control: { stopRequested: () => false, now: () => performance.now() },
    epochs: spec.epochs,
    cadence: ALWAYS,
    select: 'last',
    evaluable: () => false,
  })
  expect((await checkpoints.latest())?.step).toBe(STEPS - 1)
  expect((await checkpoints.load('final')).step).toBe(STEPS)
})
