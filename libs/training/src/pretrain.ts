/** The pretraining loop: steps over epochs, metrics, checkpoints, exact resume. */
import type { Executor, Session } from '#libs/engine'
import type { StateArrays } from '#libs/msn'
import { type Cadence, checkpointDue } from './cadence.ts'
import { CheckpointWriter, type TakenCheckpoint } from './checkpoint-writer.ts'
import { type LoopControl, letEventsIn } from './control.ts'
import { NonFiniteError, StoppedError } from './errors.ts'
import { explainNonFinite } from './explain-non-finite.ts'
import { type PretrainLearner, positionAt, type StepPosition } from './learner.ts'
import type {
  CheckpointMeta,
  CheckpointStore,
  MetricPoint,
  MetricSink,
  NamedTensors,
  PretrainDataSource,
  StoredCheckpoint,
  ViewBatch,
} from './ports.ts'
import { stateFrom, withShapes } from './tensors.ts'

export interface PretrainLoop {
  readonly learner: PretrainLearner
  readonly executor: Executor
  readonly source: PretrainDataSource
  readonly checkpoints: CheckpointStore
  readonly metrics: MetricSink
  readonly control: LoopControl
  readonly epochs: number
  readonly cadence: Cadence
  readonly select: 'lowest-epoch-loss' | 'last'
  /** Which state entries an evaluation may want of the selected checkpoint (the rest is for going on only). */
  readonly evaluable: (name: string) => boolean
}

export interface PretrainSummary {
  readonly steps: number
  readonly images: number
  readonly seconds: number
  readonly imagesPerSecond: number
  /** Share of the loop's time spent waiting for data. */
  readonly dataWaitShare: number
  readonly lastEpochLoss: number
  readonly bestEpoch: number
  readonly bestEpochLoss: number
  readonly resumedFromStep: number
}

/** Loop state beside the tensors: enough to go on inside an epoch as if nothing had happened. */
interface Ledger {
  step: number
  epochLossSum: number
  bestEpoch: number
  bestEpochLoss: number
  lastEpochLoss: number
}

const toMeta = (ledger: Ledger): CheckpointMeta => ({ loop: JSON.stringify(ledger) })
// JSON writes doubles so that they read back exactly; Infinity (no best yet) becomes null.
const fromMeta = (meta: CheckpointMeta): Ledger => {
  const ledger = JSON.parse(meta.loop ?? '{}') as Ledger
  return { ...ledger, bestEpochLoss: ledger.bestEpochLoss ?? Infinity, lastEpochLoss: ledger.lastEpochLoss ?? Infinity }
}

/**
 * Trains to the end of the last epoch and commits `best` and `final`. Resumes from the newest periodic checkpoint of the run.
 * @throws NonFiniteError when a watched output stops being a number, naming the first tensor that did (checkpoints stay as they
 * were; to find it, the steps since the last one are done again)
 * @throws StoppedError after a requested checkpoint is committed
 */
export async function pretrain(loop: PretrainLoop): Promise<PretrainSummary> {
  return new Pretraining(loop).run()
}

class Pretraining {
  readonly #loop: PretrainLoop
  readonly #writer: CheckpointWriter
  #session!: Session
  #ledger: Ledger = { step: 0, epochLossSum: 0, bestEpoch: -1, bestEpochLoss: Infinity, lastEpochLoss: Infinity }
  /** The selected weights, not yet written, as of the end of their epoch. */
  #unsavedBest: StoredCheckpoint | null = null
  #lastTakenMs = 0
  #waitMs = 0

  constructor(loop: PretrainLoop) {
    this.#loop = loop
    this.#writer = new CheckpointWriter(loop.checkpoints)
  }

  async run(): Promise<PretrainSummary> {
    const { learner, executor, source, checkpoints, control, epochs } = this.#loop
    const stored = await checkpoints.latest()
    const shapes = learner.step.signature.state
    let state: StateArrays
    if (stored) {
      state = stateFrom(stored.tensors, shapes)
      this.#ledger = fromMeta(stored.meta)
    } else state = learner.initialState()
    const resumedFromStep = this.#ledger.step
    this.#session = await executor.load(learner.step, state)
    try {
      const startMs = control.now()
      this.#lastTakenMs = startMs
      await this.#steps(epochs * source.stepsPerEpoch)
      const seconds = (control.now() - startMs) / 1000
      await this.#commit('final')
      const { step, lastEpochLoss, bestEpoch, bestEpochLoss } = this.#ledger
      const images = (step - resumedFromStep) * source.batch
      return {
        steps: step,
        images,
        seconds,
        imagesPerSecond: images / seconds,
        dataWaitShare: this.#waitMs / 1000 / seconds,
        lastEpochLoss,
        bestEpoch,
        bestEpochLoss,
        resumedFromStep,
      }
    } catch (error) {
      // Whatever ended the loop: the state on its way was taken before, and half of it would be of no use.
      await this.#writer.settled().catch(() => undefined)
      throw error instanceof NonFiniteError ? await explainNonFinite(this.#loop, this.#session, error) : error
    } finally {
      await this.#session.dispose()
    }
  }

  async #steps(total: number): Promise<void> {
    const { source, metrics, control } = this.#loop
    const perEpoch = source.stepsPerEpoch
    const viewsOf = (step: number): Promise<ViewBatch> => source.views(Math.floor(step / perEpoch), step % perEpoch)
    let next = this.#ledger.step < total ? viewsOf(this.#ledger.step) : null
    while (next) {
      const position = positionAt(this.#ledger.step, perEpoch)
      const waitFrom = control.now()
      const views: ViewBatch = await next
      const waitedMs = control.now() - waitFrom
      this.#waitMs += waitedMs
      next = position.step + 1 < total ? viewsOf(position.step + 1) : null
      // An early end must not leave a rejection without a handler; the loop awaits the same promise if it goes on.
      next?.catch(() => undefined)
      await this.#step(position, views, waitedMs)
      metrics.progress(this.#ledger.step * source.batch, total * source.batch, 'images')
      await letEventsIn()
      const epochEnded = this.#ledger.step % perEpoch === 0
      if (control.stopRequested() && this.#ledger.step < total) {
        await this.#commit('periodic')
        throw new StoppedError(`stopped at step ${this.#ledger.step} with its checkpoint committed`)
      }
      this.#writer.check()
      const due = checkpointDue(this.#loop.cadence, control.now() - this.#lastTakenMs, epochEnded)
      if (due && this.#ledger.step < total && !this.#writer.isBusy) this.#take('periodic')
    }
  }

  async #step(position: StepPosition, views: ViewBatch, waitedMs: number): Promise<void> {
    const { learner, source, metrics, control } = this.#loop
    const fromMs = control.now()
    const outputs = await this.#session.run(learner.batch(views, position), learner.scalars(position))
    const stepSeconds = (control.now() - fromMs) / 1000
    for (const name of learner.watched) {
      if (!Number.isFinite(outputs[name]?.[0])) throw new NonFiniteError(name, position.step)
    }
    const points: MetricPoint[] = Object.entries({
      ...Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values[0]!])),
      ...learner.scheduleMetrics(position),
      stepSeconds,
      dataWaitSeconds: waitedMs / 1000,
      imagesPerSecond: source.batch / (stepSeconds + waitedMs / 1000),
    }).map(([name, value]) => ({ step: position.step, name, value }))
    const ledger = this.#ledger
    ledger.epochLossSum += outputs[learner.watched[0]]![0]!
    ledger.step += 1
    if (ledger.step % source.stepsPerEpoch === 0) points.push(...this.#endEpoch(position))
    metrics.record(points)
  }

  #endEpoch(position: StepPosition): MetricPoint[] {
    const ledger = this.#ledger
    ledger.lastEpochLoss = ledger.epochLossSum / this.#loop.source.stepsPerEpoch
    ledger.epochLossSum = 0
    if (this.#loop.select === 'last' || ledger.lastEpochLoss < ledger.bestEpochLoss) {
      ledger.bestEpoch = position.epoch
      ledger.bestEpochLoss = ledger.lastEpochLoss
      this.#unsavedBest = { step: ledger.step, meta: toMeta(ledger), tensors: this.#named(this.#loop.evaluable) }
    }
    return [{ step: position.step, name: 'epochLoss', value: ledger.lastEpochLoss }]
  }

  #named(keep: (name: string) => boolean): NamedTensors {
    const shapes = this.#loop.learner.step.signature.state
    return withShapes(this.#session.readState(Object.keys(shapes).filter(keep)), shapes)
  }

  /** Copies the state and lets the store have it. */
  #take(role: 'periodic' | 'final'): void {
    const state = { step: this.#ledger.step, meta: toMeta(this.#ledger), tensors: this.#named(() => true) }
    // Best first: a periodic checkpoint never names a best that is not there.
    const best: TakenCheckpoint[] = this.#unsavedBest ? [{ checkpoint: this.#unsavedBest, role: 'best' }] : []
    this.#unsavedBest = null
    this.#writer.begin([...best, { checkpoint: state, role }])
    this.#lastTakenMs = this.#loop.control.now()
  }

  async #commit(role: 'periodic' | 'final'): Promise<void> {
    await this.#writer.settled()
    this.#take(role)
    await this.#writer.settled()
  }
}
