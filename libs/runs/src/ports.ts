/**
 * Ports of the run graph: what api, scheduler and worker ask of the store and of the queue.
 * Every change of state behind them is one compare-and-set in one transaction with its event and, where work becomes
 * runnable, its outbox row (design section 3). Times are the database's, never a caller's.
 */
import type {
  DatasetFacts,
  DatasetKind,
  DatasetOptions,
  ExperimentPoint,
  GridPlan,
  GridRequest,
  RunId,
  RunKind,
  RunSpec,
} from '#libs/experiments'
import type { HoldReason } from '#libs/scheduling'
import type { RunFilter } from './control-ports.ts'
import type { AttemptEnding, AttemptState, Desired, OpenAttemptState, RunState } from './states.ts'

// ---------------------------------------------------------------- grids

export interface SubmitGrid {
  readonly request: GridRequest
  readonly plan: GridPlan
  readonly owner: string
  /** The same key with another request is refused (IdempotencyConflictError). */
  readonly idempotencyKey: string | null
  /** Compute the answer, write nothing. */
  readonly dryRun: boolean
}

export interface RunCounts {
  /** Made by this submission. */
  readonly new: number
  /** Already succeeded: nothing to do. */
  readonly reused: number
  /** On their way for another grid. */
  readonly joined: number
  /** Failed before and queued again because the request asked for it. */
  readonly retried: number
}

export interface SubmittedGrid {
  /** Hash of name, owner and points: the same request is the same grid. */
  readonly gridId: string
  /** False where this very grid was there before: nothing was written. */
  readonly created: boolean
  readonly points: number
  readonly runs: RunCounts
  readonly byKind: Readonly<Record<RunKind, RunCounts>>
  readonly warnings: readonly string[]
}

export interface GridStore {
  /** One transaction: expand is done, insert what is new, join what exists, retry what failed if asked. */
  submit(input: SubmitGrid): Promise<SubmittedGrid>
}

// ---------------------------------------------------------------- data sets

export interface RegisteredDataset extends DatasetFacts {
  readonly kind: DatasetKind
  /** Absolute folder or s3:// address; never shown outside the server's own processes. */
  readonly root: string
  /** Absent: none. */
  readonly options?: DatasetOptions
  readonly createdAt: Date
}

export interface DatasetStore {
  /** The same name, kind, root, options and fingerprint again: no change. Another fingerprint under a name that runs use: refused. */
  register(dataset: Omit<RegisteredDataset, 'createdAt'>): Promise<RegisteredDataset>
  dataset(name: string): Promise<RegisteredDataset | undefined>
  datasets(): Promise<readonly RegisteredDataset[]>
}

// ---------------------------------------------------------------- attempts (worker side)

/** Proof of the right to speak for an attempt: a write with a stale token is refused. */
export interface AttemptRef {
  readonly attemptId: string
  readonly fencingToken: number
}

export interface WorkerIdentity {
  readonly id: string
  readonly hostname: string
  readonly resourceClass: string
  readonly engine: string
  readonly version: string
  /** Attempts that it takes at once. */
  readonly slots: number
  /** Why it takes no more work (`the GPU reported an uncorrectable error`); absent or null: it takes work. */
  readonly draining?: string | null
}

export interface Assignment extends AttemptRef {
  readonly runId: RunId
  /** 1 for the first attempt of the run. */
  readonly number: number
  readonly spec: RunSpec
  readonly semantics: number
  /** Images a pass of the trunk, in place of the spec's own `microBatch`: set after an attempt ran out of memory. Same results. */
  readonly microBatch: number | null
  readonly upstream: readonly { readonly runId: RunId; readonly kind: RunKind; readonly spec: RunSpec }[]
  readonly dataset: RegisteredDataset | null
}

export interface AttemptResult {
  readonly ending: AttemptEnding
  /** One sentence for the user; no patient-derived value. */
  readonly message: string | null
  readonly artifacts: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[]
  readonly results: readonly {
    readonly label: string
    readonly metric: string
    readonly value: number
    readonly low: number | null
    readonly high: number | null
  }[]
  readonly summary: Readonly<Record<string, number | string>>
}

export interface AttemptStore {
  registerWorker(worker: WorkerIdentity): Promise<void>
  /** Undefined where the attempt is not `waiting` any more: a duplicate or stale message, to be dropped. */
  lease(attemptId: string, worker: WorkerIdentity, leaseMs: number): Promise<Assignment | undefined>
  /** leased -> running: the child is ready. True again where it had started before. False: the lease was lost. */
  start(ref: AttemptRef): Promise<boolean>
  /** Extends the lease. `held` false: somebody else owns the run now, kill the child. */
  heartbeat(ref: AttemptRef, leaseMs: number): Promise<{ readonly held: boolean; readonly desired: Desired }>
  /** Idempotent by (run, attempt, step, name). False: refused, the lease was lost. */
  recordMetrics(
    ref: AttemptRef,
    points: readonly { readonly step: number; readonly name: string; readonly value: number }[],
  ): Promise<boolean>
  recordProgress(ref: AttemptRef, done: number, total: number, unit: string): Promise<boolean>
  recordCheckpoint(
    ref: AttemptRef,
    checkpoint: {
      readonly step: number
      readonly role: string
      readonly name: string
      readonly sha256: string
      readonly sizeBytes: number
    },
  ): Promise<boolean>
  /**
   * Ends the attempt and moves the run on: succeeded (unblocks dependents), failed (dependents become upstream-failed, with the
   * name of the run that failed), queued again (a new waiting attempt with its outbox row) or cancelled, by the budgets of
   * retry-policy.ts. `accepted` false: the token was stale and nothing changed.
   */
  end(ref: AttemptRef, result: AttemptResult): Promise<{ readonly accepted: boolean; readonly runState: RunState }>
  /**
   * Resolves when the wish for some running run changed (LISTEN), after `timeoutMs`, or when `signal` aborts; the caller then
   * heartbeats. For speed alone: a wish that nobody announced is seen by the next heartbeat.
   */
  waitForWish(timeoutMs: number, signal: AbortSignal): Promise<void>
}

// ---------------------------------------------------------------- scheduler side

export interface OutboxMessage {
  readonly id: bigint
  readonly attemptId: string
  readonly resourceClass: string
  /** As the queue counts: 1 runs first. */
  readonly queuePriority: number
}

export interface SchedulerStore {
  /** Session-level advisory lock on a connection of its own: one scheduler at work. Undefined: another one holds it. */
  acquireLeadership(): Promise<{ release(): Promise<void>; readonly lost: Promise<void> } | undefined>
  /** Rows not yet handed to the queue, oldest first. */
  pendingOutbox(limit: number): Promise<readonly OutboxMessage[]>
  confirmOutbox(ids: readonly bigint[]): Promise<void>
  /** Attempts whose lease ran out end as `lost`; their runs go on by the budgets. Gives how many. */
  expireLeases(): Promise<number>
  /** Attempts that wait without being in the outbox: candidates for a job that the queue lost. */
  waitingAttempts(limit: number): Promise<readonly OutboxMessage[]>
  /** Resolves when new outbox rows were announced (LISTEN), or after `timeoutMs`. */
  waitForOutbox(timeoutMs: number, signal: AbortSignal): Promise<void>
}

// ---------------------------------------------------------------- reading

export interface Page {
  readonly cursor: string | null
  readonly limit: number
}
export interface Paged<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

export type StateCounts = Readonly<Record<RunState, number>>

export interface GridSummary {
  readonly id: string
  readonly name: string
  readonly owner: string
  readonly createdAt: Date
  readonly points: number
  readonly runs: StateCounts
  /** All runs of the grid are in an end state. */
  readonly ended: boolean
}

export interface RunSummary {
  readonly id: RunId
  readonly kind: RunKind
  readonly state: RunState
  /** Human title made of the spec: `pretrain msn vit-tiny sex seed 24`. */
  readonly title: string
  readonly dataset: string | null
  readonly attempts: number
  readonly progress: { readonly done: number; readonly total: number; readonly unit: string } | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
  /** Why it ended as it did, one sentence. */
  readonly message: string | null
}

export interface RunDetail extends RunSummary {
  readonly spec: RunSpec
  readonly semantics: number
  readonly upstream: readonly { readonly id: RunId; readonly kind: RunKind; readonly state: RunState }[]
  readonly downstream: number
  readonly summary: Readonly<Record<string, number | string>>
  readonly attemptList: readonly {
    readonly id: string
    readonly number: number
    readonly state: AttemptState
    readonly ending: AttemptEnding | null
    readonly message: string | null
    readonly worker: string | null
    readonly microBatch: number | null
    readonly startedAt: Date | null
    readonly endedAt: Date | null
  }[]
  readonly artifacts: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[]
  readonly grids: readonly { readonly id: string; readonly name: string }[]
}

export interface LedgerRow {
  readonly point: ExperimentPoint
  readonly state: RunState
  readonly pretrainState: RunState
  readonly message: string | null
}

export interface GridResultRow {
  readonly point: ExperimentPoint
  readonly state: RunState
  readonly label: string
  readonly metric: string
  readonly value: number
  readonly low: number | null
  readonly high: number | null
}

export interface StoredMetric {
  readonly step: number
  readonly name: string
  readonly value: number
  readonly at: Date
}

export interface LabEvent {
  /** Cursor: rises with every event. */
  readonly id: bigint
  readonly at: Date
  readonly type: string
  readonly runId: RunId | null
  readonly gridId: string | null
  readonly attemptId: string | null
  /** Ids, states, counts; no patient-derived value. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>
}

/** Seconds from now: as likely before as after p50; nine times in ten before p90. */
export interface StartEstimate {
  readonly p50: number
  readonly p90: number
}

export interface Why {
  readonly state: RunState
  /** One sentence: what the run waits for, or how it ended. */
  readonly sentence: string
  readonly waitsFor: readonly {
    readonly id: RunId
    readonly kind: RunKind
    readonly state: RunState
    readonly progress: number | null
    /** When it should end, in seconds from now; null where unknown. */
    readonly end: StartEstimate | null
  }[]
  readonly runsAhead: number | null
  readonly workersOfClass: number | null
  /** Why the scheduler does not give it to the queue yet; null: it does, or has not looked. */
  readonly hold: HoldReason | null
  /** When it should start, in seconds from now; null where unknown or past. */
  readonly start: StartEstimate | null
  /** The upstream run that failed first, where the state is upstream-failed. */
  readonly rootCause: { readonly id: RunId; readonly kind: RunKind; readonly message: string | null } | null
}

export interface LabReader {
  grids(page: Page): Promise<Paged<GridSummary>>
  grid(id: string): Promise<(GridSummary & { readonly byKind: Readonly<Record<RunKind, StateCounts>> }) | undefined>
  ledger(gridId: string, page: Page): Promise<Paged<LedgerRow>>
  /** All points of a grid with their results; points without a result are left out. */
  results(gridId: string): Promise<readonly GridResultRow[]>
  runs(filter: Omit<RunFilter, 'runIds'>, page: Page): Promise<Paged<RunSummary>>
  /** A full id or a unique prefix of at least 6 hex digits; throws AmbiguousIdError. */
  run(idOrPrefix: string): Promise<RunDetail | undefined>
  /** All ids of the grid whose id or prefix this is, or the newest grid of that name. */
  resolveGrid(idPrefixOrName: string): Promise<string | undefined>
  metrics(
    runId: RunId,
    filter: { readonly name?: string; readonly afterStep?: number; readonly limit: number },
  ): Promise<readonly StoredMetric[]>
  events(filter: {
    readonly after: bigint
    readonly runId?: RunId
    readonly gridId?: string
    readonly limit: number
  }): Promise<readonly LabEvent[]>
  why(runId: RunId): Promise<Why | undefined>
  /** For /metrics. */
  gauges(): Promise<LabGauges>
  /** Resolves when an event was announced (LISTEN), or after `timeoutMs`. */
  waitForEvent(timeoutMs: number, signal: AbortSignal): Promise<void>
}

export interface LabGauges {
  readonly runs: Readonly<Record<RunKind, StateCounts>>
  readonly outboxRows: number
  readonly outboxAgeSeconds: number
  /** Age of the oldest run that waits for a worker. */
  readonly queueAgeSeconds: number
  readonly workersAlive: Readonly<Record<string, number>>
  /** By resource class. A waiting attempt that a back-off holds is not counted. */
  readonly openAttempts: Readonly<Record<string, Readonly<Partial<Record<OpenAttemptState, number>>>>>
  /** Attempts that ended within the last 15 minutes. */
  readonly recentEndings: Readonly<Partial<Record<AttemptEnding, number>>>
  /** Of the running pretraining that has gone longest without a checkpoint; 0 where none runs. */
  readonly checkpointAgeSeconds: number
}

// ---------------------------------------------------------------- queue

/** Carries attempt ids and nothing else, and may lose them at any moment. */
export interface RunQueue {
  /** One job an attempt id: adding it again while it waits or runs changes nothing. */
  add(messages: readonly Pick<OutboxMessage, 'attemptId' | 'resourceClass' | 'queuePriority'>[]): Promise<void>
  /** Gives jobs that wait another number. One that is being worked on, or is gone, is left alone. */
  reprioritise(messages: readonly Pick<OutboxMessage, 'attemptId' | 'resourceClass' | 'queuePriority'>[]): Promise<void>
  /** Of the given attempts, those that have no job: waiting, prioritised, delayed or active. */
  missing(messages: readonly Pick<OutboxMessage, 'attemptId' | 'resourceClass'>[]): Promise<readonly string[]>
  counts(resourceClass: string): Promise<{ readonly waiting: number; readonly active: number }>
  close(): Promise<void>
}

/** The worker's end of the queue. `handle` must not compute: the process that holds the lock only supervises. */
export interface RunConsumer {
  /** Stops taking jobs; resolves at once. */
  pause(): Promise<void>
  /** Waits for handlers in flight. */
  close(): Promise<void>
}

export interface RunConsumerOptions {
  readonly resourceClass: string
  readonly concurrency: number
  /** Called once a job; what it throws ends up in the log, and the job is over (the scheduler re-adds what still waits). */
  readonly handle: (attemptId: string) => Promise<void>
  readonly onError: (error: Error) => void
}

export interface RunQueueFactory {
  queue(): RunQueue
  consume(options: RunConsumerOptions): Promise<RunConsumer>
  close(): Promise<void>
}
