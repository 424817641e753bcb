/**
 * One leased attempt from fork to end.
 *
 *   leased --fork--> child --ready--> running --(done | failed | exit | signal)--> ended
 *
 * The lease is kept from the first line to the last; losing it at any point kills the child and ends the attempt without a word
 * to the store, which would refuse it. Everything the child says is written in the order in which it was said.
 */
import { isRefusedValue } from '#libs/run-store'
import type { Assignment, AttemptEnding, AttemptResult, AttemptStore } from '#libs/runs'
import { type Logger, runLogger } from '#libs/telemetry'
import type { AssignmentMessage, FromChild } from '#libs/training'
import type { AttemptChild, ChildExit } from './attempt-child.ts'
import { type DoneMessage, endingOf, type FailedMessage, type StopReason, strongerReason, type Verdict } from './ending.ts'
import { LeaseLostError } from './errors.ts'
import { keepLease, type LeaseKeeper } from './lease-keeper.ts'
import type { AttemptObserver } from './observer.ts'
import type { OomWatch } from './oom-watch.ts'
import { Reporter } from './reporter.ts'
import { retry } from './retry.ts'
import { CANCEL_DEADLINES, climb, graceDeadlines, type StopDeadlines } from './stop-ladder.ts'

export interface AttemptRunOptions {
  readonly assignment: Assignment
  readonly message: AssignmentMessage
  /** When the lease was asked for, in milliseconds of `performance.now()`. */
  readonly leasedAtMs: number
  readonly store: AttemptStore
  /** Without an assignment yet; this attempt's from now on. */
  readonly child: AttemptChild
  readonly observer: AttemptObserver
  readonly logger: Logger
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly graceMs: number
  readonly stallMs: number
  readonly cancelDeadlines?: StopDeadlines
  readonly oomWatch: OomWatch
  /** The accelerator failed under the child: `words` say how. */
  readonly onDeviceFault: (words: string) => void
}

export class AttemptRun {
  /** How it ended; `lost` where the lease was lost. Never rejects. */
  readonly ended: Promise<AttemptEnding>
  readonly #options: AttemptRunOptions
  readonly #logger: Logger
  readonly #child: AttemptChild
  readonly #lease: LeaseKeeper
  readonly #reporter: Reporter
  readonly #leaseLost = new AbortController()
  /** Writes to the store, one after the other. */
  #writes: Promise<void> = Promise.resolve()
  #started = false
  #isEnding = false
  #stop: StopReason | null = null
  #endClimb: () => void = () => {}
  #stallTimer: NodeJS.Timeout | undefined
  #done: DoneMessage | null = null
  #failed: FailedMessage | null = null

  constructor(options: AttemptRunOptions) {
    this.#options = options
    const { assignment, store } = options
    this.#logger = runLogger(options.logger, { runId: assignment.runId, attemptId: assignment.attemptId })
    this.#reporter = new Reporter({
      store,
      ref: assignment,
      logger: this.#logger,
      onRefused: () => this.stop('lease-lost'),
      onDropped: (points) => options.observer.dropped(points),
    })
    this.#child = options.child
    this.#child.send(options.message)
    this.#lease = this.#keepLease()
    this.#watchForStall()
    this.#child.listen({
      onMessage: (message) => this.#handle(message),
      onNonsense: (problem) => this.#nonsense(problem),
    })
    this.#logger.info(
      { kind: assignment.spec.kind, number: assignment.number, child_pid: this.#child.pid },
      'attempt leased, child started',
    )
    this.ended = this.#run()
  }

  /** Ends the attempt for a reason; a stronger reason than one before replaces it. */
  stop(reason: StopReason): void {
    const stronger = strongerReason(this.#stop, reason)
    if (stronger === this.#stop) return
    this.#stop = stronger
    this.#logger.info({ reason }, 'stopping the child')
    this.#endClimb()
    if (reason === 'lease-lost') this.#leaseLost.abort(new LeaseLostError('the lease was lost'))
    if (isAtOnce(reason)) this.#child.kill('SIGKILL')
    else this.#endClimb = climb(this.#child, this.#deadlines(reason))
  }

  /** Asks the store now what is wanted of the run. */
  lookForWish(): void {
    this.#lease.beatNow()
  }

  /** At once, whatever it costs; the attempt then ends by its stop reason, or as a crash. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #run(): Promise<AttemptEnding> {
    const { observer, oomWatch } = this.#options
    try {
      const exit = await this.#child.ended
      this.#endClimb()
      clearTimeout(this.#stallTimer)
      const killedForMemory = exit.signal === 'SIGKILL' && (await oomWatch.hasKilled())
      await this.#writes
      await this.#reporter.close(this.#leaseLost.signal).catch((error: unknown) => this.#giveUp(error))
      const verdict = this.#verdict(exit, killedForMemory)
      if (verdict.deviceFault) this.#options.onDeviceFault(verdict.deviceFault)
      await this.#end(verdict, exit)
      observer.ended(verdict.ending)
      return verdict.ending
    } catch (error) {
      const level = error instanceof LeaseLostError ? 'warn' : 'error'
      this.#logger[level]({ err: error }, 'the end of the attempt could not be written; the scheduler will find it lost')
      observer.ended('lost')
      return 'lost'
    } finally {
      this.#lease.stop()
      clearTimeout(this.#stallTimer)
    }
  }

  #keepLease(): LeaseKeeper {
    const { store, assignment, leaseMs, leasedAtMs, heartbeatMs } = this.#options
    return keepLease({
      beat: () => store.heartbeat(assignment, leaseMs),
      everyMs: heartbeatMs,
      leaseMs,
      leasedAtMs,
      onLost: (why) => {
        // The end is on its way and frees the lease: its own answer tells whether it was taken or refused.
        if (why === 'taken' && this.#isEnding) return
        this.#logger.warn({ why }, 'lease lost')
        this.stop('lease-lost')
      },
      onDesired: (desired) => this.stop(desired),
      onError: (error) => this.#logger.warn({ err: error }, 'heartbeat failed'),
    })
  }

  #verdict(exit: ChildExit, killedForMemory: boolean): Verdict {
    const { stderrTail } = this.#child
    return endingOf({ ...exit, done: this.#done, failed: this.#failed, stop: this.#stop, stderrTail, killedForMemory })
  }

  async #end(verdict: Verdict, exit: ChildExit): Promise<void> {
    const stderr = verdict.ending === 'succeeded' ? undefined : this.#child.stderrTail || undefined
    if (verdict.ending === 'lost') {
      this.#logger.warn({ code: exit.code, signal: exit.signal, stderr }, 'attempt lost')
      return
    }
    const succeeded = verdict.ending === 'succeeded'
    const result: AttemptResult = {
      ending: verdict.ending,
      message: verdict.message,
      artifacts: (succeeded && this.#done?.artifacts) || [],
      results: (succeeded && this.#done?.results) || [],
      summary: (succeeded && this.#done?.summary) || {},
    }
    const { accepted, runState } = await this.#writeEnd(result)
    const level = verdict.ending === 'crashed' ? 'error' : 'info'
    // The words on a wrong data set name its files, and these are named after patients: they are for who asks for the run.
    const { message, ...said } = verdict
    const words = verdict.ending === 'spec-error' ? {} : { message }
    this.#logger[level](
      { ...said, ...words, code: exit.code, signal: exit.signal, accepted, run_state: runState, stderr },
      'attempt ended',
    )
  }

  /** Again and again until the store takes or refuses it. A result that no database would take is a fault of the run's code. */
  async #writeEnd(result: AttemptResult): ReturnType<AttemptStore['end']> {
    const { store, assignment } = this.#options
    this.#isEnding = true
    try {
      return await this.#persist(() => store.end(assignment, result))
    } catch (error) {
      if (!isRefusedValue(error)) throw error
      this.#logger.error({ err: error }, 'the database refused a value of the result')
      const message = 'the database refused a value of the result'
      return await this.#persist(() =>
        store.end(assignment, { ending: 'crashed', message, artifacts: [], results: [], summary: {} }),
      )
    }
  }

  #handle(message: FromChild): void {
    const { observer } = this.#options
    this.#watchForStall()
    switch (message.type) {
      case 'ready':
        this.#start()
        break
      case 'engine':
        this.#logger.info({ engine: message.engine, threads: message.threads, start_up_ms: message.startUpMs }, 'engine loaded')
        break
      case 'progress':
        observer.progress(message.done, message.unit)
        this.#reporter.progress(message.done, message.total, message.unit)
        break
      case 'metrics': {
        const points = message.points.map(([step, name, value]) => ({ step, name, value }))
        observer.points(points)
        this.#reporter.record(points)
        break
      }
      case 'checkpoint-committed': {
        const { step, role, artifact } = message
        this.#write(() => this.#options.store.recordCheckpoint(this.#options.assignment, { step, role, ...artifact }))
        break
      }
      case 'done':
        this.#done ??= message
        break
      case 'failed':
        this.#failed ??= message
        break
    }
  }

  #start(): void {
    if (this.#started) {
      this.#nonsense('ready: sent twice')
      return
    }
    this.#started = true
    this.#write(async () => {
      const held = await this.#options.store.start(this.#options.assignment)
      if (held) this.#reporter.open()
      return held
    })
  }

  #deadlines(reason: StopReason): StopDeadlines {
    if (reason === 'cancel') return this.#options.cancelDeadlines ?? CANCEL_DEADLINES
    return graceDeadlines(this.#options.graceMs)
  }

  /** Queues a write that answers whether the lease is still held. */
  #write(work: () => Promise<boolean>): void {
    this.#writes = this.#writes.then(async () => {
      try {
        if (!(await this.#persist(work))) this.stop('lease-lost')
      } catch (error) {
        this.#giveUp(error)
      }
    })
  }

  /** One row less is no reason to lose the attempt's result; a lost lease is. */
  #giveUp(error: unknown): void {
    this.#logger.error({ err: error }, 'gave up a write to the database')
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    const onError = (error: unknown, attempt: number) =>
      this.#logger.warn({ err: error, attempt }, 'the database refused a write; trying again')
    return retry(work, { signal: this.#leaseLost.signal, isFinal: isRefusedValue, onError })
  }

  #nonsense(problem: string): void {
    this.#logger.error({ problem }, 'message outside the protocol')
    this.stop('nonsense')
  }

  #watchForStall(): void {
    clearTimeout(this.#stallTimer)
    this.#stallTimer = setTimeout(() => this.stop('stalled'), this.#options.stallMs)
  }
}

/** Nothing that such a child could still do is wanted. */
function isAtOnce(reason: StopReason): boolean {
  return reason === 'lease-lost' || reason === 'nonsense' || reason === 'stalled'
}
