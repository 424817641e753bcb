/**
 * Which tensor of a step went bad first. The step itself hands out a few numbers only, so it is looked at again: the state before
 * it comes from the last checkpoint by doing the same steps again, which gives the same bits, and then a step that shows its
 * inner values is run on that state and batch.
 */
import type { Executor, Session } from '#libs/engine'
import type { StateArrays } from '#libs/msn'
import { type LoopControl, letEventsIn } from './control.ts'
import { NonFiniteError } from './errors.ts'
import { type PretrainLearner, positionAt } from './learner.ts'
import type { CheckpointStore, PretrainDataSource } from './ports.ts'
import { stateFrom } from './tensors.ts'

/** The neighbours of the loop that failed. */
export interface FailedLoop {
  readonly learner: PretrainLearner
  readonly executor: Executor
  readonly source: PretrainDataSource
  readonly checkpoints: CheckpointStore
  readonly control: LoopControl
}

/**
 * The same error with the tensor that went bad first: `batch target.patches`, `state online.norm.weight`, `z`, `gradient of
 * norm.weight`. Names only, never a value. The error as it is where that cannot be found: a stop is asked for, the method shows
 * no inner values, all of them are finite this time, or looking fails.
 * @param session of the learner's step; its state is lost, and it may be disposed
 */
export async function explainNonFinite(loop: FailedLoop, session: Session, error: NonFiniteError): Promise<NonFiniteError> {
  // A tensor of a state that was to be kept is named already.
  if (!loop.learner.watched.includes(error.tensor)) return error
  try {
    const state = await stateBefore(loop, session, error.step)
    if (!state) return error
    // Two steps would not fit into the memory of one.
    await session.dispose()
    const tensor = await firstNonFinite(loop, state, await feedsOf(loop, error.step))
    return tensor ? new NonFiniteError(tensor, error.step, { cause: error }) : error
  } catch (failure) {
    return new NonFiniteError(error.tensor, error.step, { cause: failure })
  }
}

interface StepFeeds {
  readonly batch: Record<string, Float32Array>
  readonly scalars: Record<string, number>
}

async function feedsOf({ learner, source }: FailedLoop, step: number): Promise<StepFeeds> {
  const position = positionAt(step, source.stepsPerEpoch)
  const views = await source.views(position.epoch, step % source.stepsPerEpoch)
  return { batch: learner.batch(views, position), scalars: learner.scalars(position) }
}

async function stateBefore(loop: FailedLoop, session: Session, step: number): Promise<StateArrays | undefined> {
  const { learner, checkpoints, control } = loop
  const stored = await checkpoints.latest()
  session.writeState(stored ? stateFrom(stored.tensors, learner.step.signature.state) : learner.initialState())
  for (let at = stored?.step ?? 0; at < step; at++) {
    await letEventsIn()
    if (control.stopRequested()) return undefined
    const { batch, scalars } = await feedsOf(loop, at)
    await session.run(batch, scalars)
  }
  return session.readState()
}

async function firstNonFinite({ learner, executor }: FailedLoop, state: StateArrays, feeds: StepFeeds): Promise<string | null> {
  const batch = firstBad(feeds.batch)
  if (batch) return `batch ${batch}`
  const entry = firstBad(state)
  if (entry) return `state ${entry}`
  if (!learner.probe) return null
  const session = await executor.load(learner.probe.step, state)
  try {
    const bad = firstBad(await session.run(feeds.batch, feeds.scalars), learner.probe.order)
    return bad ? bad.replace(/^grad\./, 'gradient of ') : null
  } finally {
    await session.dispose()
  }
}

function firstBad(arrays: Readonly<Record<string, Float32Array>>, order: readonly string[] = Object.keys(arrays)) {
  return order.find((name) => arrays[name]?.some((value) => !Number.isFinite(value)))
}
