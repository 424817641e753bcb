/**
 * Takes attempt ids from the queue, leases the attempts and has each run by a child process. Holds locks and leases and never
 * computes, so that its heartbeats are on time whatever the children do.
 */
import type { AttemptEnding, AttemptStore, RunConsumer, RunQueueFactory, WorkerIdentity } from '#libs/runs'
import { type Logger, runLogger } from '#libs/telemetry'
import { prepareAssignment } from './assignment.ts'
import type { ChildProgram } from './attempt-child.ts'
import { AttemptRun } from './attempt-run.ts'
import { observeAttempt, type WorkerMetrics } from './observer.ts'
import type { StopDeadlines } from './stop-ladder.ts'

export interface SupervisorOptions {
  readonly store: AttemptStore
  readonly queue: Pick<RunQueueFactory, 'consume'>
  readonly identity: WorkerIdentity
  readonly program: ChildProgram
  readonly metrics: WorkerMetrics
  readonly logger: Logger
  readonly concurrency: number
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly checkpointEveryMs: number
  readonly graceMs: number
  readonly stallMs: number
  readonly datasetRoots: readonly string[]
  readonly cancelDeadlines?: StopDeadlines
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #attempts = new Set<AttemptRun>()
  #consumer: RunConsumer | undefined
  #announcing: NodeJS.Timeout | undefined
  #stopping = false

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /** Announces the worker, then takes attempts until {@link stop}. */
  async start(): Promise<void> {
    const { store, identity, queue, concurrency, logger, heartbeatMs } = this.#options
    await store.registerWorker(identity)
    // An idle worker has no lease to renew: this alone shows that it lives.
    this.#announcing = setInterval(() => {
      store.registerWorker(identity).catch((error: unknown) => logger.warn({ err: error }, 'the worker could not be announced'))
    }, heartbeatMs)
    this.#consumer = await queue.consume({
      resourceClass: identity.resourceClass,
      concurrency,
      handle: (attemptId) => this.#handle(attemptId),
      onError: (error) => logger.error({ err: error }, 'queue'),
    })
    logger.info({ worker_id: identity.id, resource_class: identity.resourceClass, concurrency }, 'worker takes attempts')
  }

  /** Takes no more attempts; asks the children to checkpoint; resolves when every attempt has ended. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#announcing)
    await this.#consumer?.pause()
    for (const attempt of this.#attempts) attempt.stop('preempt')
    await Promise.all([...this.#attempts].map(({ ended }) => ended))
    await this.#consumer?.close()
  }

  /** Ends all children at once. Attempts that are being stopped are still recorded as preempted, where there is time. */
  kill(): void {
    for (const attempt of this.#attempts) attempt.kill()
  }

  async #handle(attemptId: string): Promise<void> {
    // Not leased, so it still waits: the scheduler hands it to the queue again.
    if (this.#stopping) return
    const { store, identity, leaseMs } = this.#options
    const assignment = await store.lease(attemptId, identity, leaseMs)
    const logger = runLogger(this.#options.logger, { attemptId })
    if (!assignment) return logger.debug('attempt does not wait any more: dropped')
    const observer = observeAttempt(this.#options.metrics, assignment)
    const refuse = async (ending: AttemptEnding, message: string | null) => {
      await store.end(assignment, { ending, message, artifacts: [], results: [], summary: {} })
      observer.ended(ending)
    }
    if (this.#stopping) return refuse('preempted', 'the worker is stopping')
    const prepared = prepareAssignment(assignment, this.#options)
    if (!prepared.ok) {
      logger.warn({ run_id: assignment.runId, problem: prepared.problem }, 'attempt refused')
      return refuse('spec-error', prepared.problem)
    }
    const attempt = new AttemptRun({ ...this.#options, assignment, message: prepared.message, observer })
    this.#attempts.add(attempt)
    await attempt.ended
    this.#attempts.delete(attempt)
  }
}
