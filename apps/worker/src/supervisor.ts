/**
 * Takes attempt ids from the queue, leases the attempts and has each run by a child process. Holds locks and leases and never
 * computes, so that its heartbeats are on time whatever the children do.
 */
import type { Assignment, AttemptEnding, AttemptStore, RunConsumer, RunQueueFactory, WorkerIdentity } from '#libs/runs'
import { type Logger, runLogger } from '#libs/telemetry'
import { prepareAssignment } from './assignment.ts'
import type { ChildProgram } from './attempt-child.ts'
import { AttemptRun } from './attempt-run.ts'
import { ChildPool } from './child-pool.ts'
import { Drain } from './drain.ts'
import { type IdleClock, startIdleClock } from './idle-clock.ts'
import { observeAttempt, type WorkerMetrics } from './observer.ts'
import { watchOom } from './oom-watch.ts'
import type { StopDeadlines } from './stop-ladder.ts'

export interface SupervisorOptions {
  readonly store: AttemptStore
  readonly queue: Pick<RunQueueFactory, 'consume'>
  readonly identity: WorkerIdentity
  readonly program: ChildProgram
  readonly metrics: WorkerMetrics
  readonly logger: Logger
  readonly concurrency: number
  /** Children that wait for an assignment with everything loaded. */
  readonly spareChildren: number
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly checkpointEveryMs: number
  readonly graceMs: number
  readonly stallMs: number
  readonly datasetRoots: readonly string[]
  /** Called once after so long without an attempt; null: the worker waits for ever. */
  readonly idle?: { readonly afterMs: number; readonly onIdle: () => void } | null
  readonly cancelDeadlines?: StopDeadlines
}

/** A wish that nobody announced is seen by the next heartbeat; this only bounds one wait. */
const WISH_POLL_MS = 60_000

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #attempts = new Set<AttemptRun>()
  readonly #children: ChildPool
  readonly #drain: Drain
  readonly #stopped = new AbortController()
  #consumer: RunConsumer | undefined
  #announcing: NodeJS.Timeout | undefined
  #idle: IdleClock | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    const { program, spareChildren: spares, logger, metrics } = options
    this.#children = new ChildPool({ program, spares, logger })
    this.#drain = new Drain({ metrics, logger, onDrain: () => this.#takeNoMore() })
  }

  /** Announces the worker, then takes attempts until {@link stop}. */
  async start(): Promise<void> {
    const { store, identity, queue, concurrency, logger, heartbeatMs, idle } = this.#options
    await store.registerWorker(identity)
    // An idle worker has no lease to renew: this alone shows that it lives.
    this.#announcing = setInterval(() => this.#announce(), heartbeatMs)
    this.#children.fill()
    this.#consumer = await queue.consume({
      resourceClass: identity.resourceClass,
      concurrency,
      handle: (attemptId) => this.#handle(attemptId),
      onError: (error) => logger.error({ err: error }, 'queue'),
    })
    void this.#hearWishes()
    if (idle) this.#idle = startIdleClock(idle.afterMs, idle.onIdle)
    logger.info({ worker_id: identity.id, resource_class: identity.resourceClass, concurrency }, 'worker takes attempts')
  }

  /** Takes no more attempts; asks the children to checkpoint; resolves when every attempt has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    clearInterval(this.#announcing)
    this.#idle?.stop()
    this.#children.close()
    await this.#consumer?.pause()
    for (const attempt of this.#attempts) attempt.stop('preempt')
    await Promise.all([...this.#attempts].map(({ ended }) => ended))
    await this.#consumer?.close()
  }

  /** Ends all children at once. Attempts that are being stopped are still recorded as preempted, where there is time. */
  kill(): void {
    this.#children.close()
    for (const attempt of this.#attempts) attempt.kill()
  }

  get #isStopping(): boolean {
    return this.#stopped.signal.aborted
  }

  #announce(): void {
    const { store, identity, logger } = this.#options
    store.registerWorker({ ...identity, draining: this.#drain.reason }).catch((error: unknown) => {
      logger.warn({ err: error }, 'the worker could not be announced')
    })
  }

  #takeNoMore(): void {
    this.#children.close()
    this.#announce()
    this.#consumer?.pause().catch((error: unknown) => this.#options.logger.error({ err: error }, 'queue'))
  }

  /** Somebody asked for something: each attempt looks whether it is meant. */
  async #hearWishes(): Promise<void> {
    const { store } = this.#options
    while (!this.#isStopping) {
      await store.waitForWish(WISH_POLL_MS, this.#stopped.signal)
      for (const attempt of this.#attempts) attempt.lookForWish()
    }
  }

  async #handle(attemptId: string): Promise<void> {
    // Not leased, so it still waits: the scheduler hands it to the queue again.
    if (this.#isStopping || this.#drain.reason !== null) return
    this.#idle?.begin()
    try {
      const { store, identity, leaseMs } = this.#options
      const leasedAtMs = performance.now()
      const assignment = await store.lease(attemptId, identity, leaseMs)
      if (assignment) await this.#work(assignment, leasedAtMs)
      else runLogger(this.#options.logger, { attemptId }).debug('attempt does not wait any more: dropped')
    } finally {
      this.#idle?.end()
    }
  }

  async #work(assignment: Assignment, leasedAtMs: number): Promise<void> {
    const { store, logger, metrics } = this.#options
    const observer = observeAttempt(metrics, assignment)
    const refuse = async (ending: AttemptEnding, message: string | null) => {
      await store.end(assignment, { ending, message, artifacts: [], results: [], summary: {} })
      observer.ended(ending)
    }
    if (this.#isStopping) return refuse('preempted', 'the worker is stopping')
    if (this.#drain.reason !== null) return refuse('preempted', 'the worker takes no more work')
    const prepared = prepareAssignment(assignment, this.#options)
    if (!prepared.ok) {
      const { runId, attemptId } = assignment
      runLogger(logger, { runId, attemptId }).warn({ problem: prepared.problem }, 'attempt refused')
      return refuse('spec-error', prepared.problem)
    }
    const attempt = new AttemptRun({
      ...this.#options,
      assignment,
      leasedAtMs,
      message: prepared.message,
      child: this.#children.take(),
      observer,
      oomWatch: watchOom(),
      onDeviceFault: (words) => this.#drain.begin(words),
    })
    this.#attempts.add(attempt)
    await attempt.ended
    this.#attempts.delete(attempt)
  }
}
