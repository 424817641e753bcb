/** Ports of those who operate the lab: its workers, metric series for charts, what collection may not touch, measured times. */
import type { RunId, RunKind } from '#libs/experiments'
import type { RunState } from './states.ts'

export interface WorkerView {
  readonly id: string
  readonly hostname: string
  readonly resourceClass: string
  readonly engine: string
  readonly version: string
  readonly slots: number
  /** Seen within the last minute. */
  readonly alive: boolean
  /** Why it takes no more work, or null. */
  readonly draining: string | null
  readonly firstSeenAt: Date
  readonly lastSeenAt: Date
  /** What it works on. */
  readonly attempts: readonly {
    readonly attemptId: string
    readonly runId: RunId
    readonly title: string
    readonly leasedAt: Date
  }[]
}

export interface WorkerReader {
  /** Alive ones first, then those seen last; workers that were not seen for a day are left out. */
  workers(): Promise<readonly WorkerView[]>
}

/** One bucket of a long series: whole steps, `fromStep` to `toStep` inclusive, as they occur in the data. */
export interface SeriesBucket {
  readonly fromStep: number
  readonly toStep: number
  readonly count: number
  /** Of finite values, as are max and mean; null where the bucket has none. */
  readonly min: number | null
  readonly max: number | null
  readonly mean: number | null
}

/** A point as somebody who follows the run sees it. A resumed attempt repeats steps: the higher attempt is the one that counts. */
export interface MetricPoint {
  /** Cursor: rises with each point of the run. */
  readonly seq: bigint
  readonly attempt: number
  readonly step: number
  readonly name: string
  readonly value: number
  readonly at: Date
}

export interface SeriesReader {
  /** Points of the run after a cursor, in the order in which they came; none that comes later has a lower `seq`. */
  pointsAfter(runId: RunId, query: { readonly after: bigint; readonly limit: number }): Promise<readonly MetricPoint[]>
  /** Names of the metrics that the run has. */
  metricNames(runId: RunId): Promise<readonly string[]>
  /** At most `buckets` buckets of equally many steps, in order; a step that was repeated counts once, by its newest attempt. */
  series(
    runId: RunId,
    query: { readonly name: string; readonly buckets: number; readonly fromStep?: number; readonly toStep?: number },
  ): Promise<readonly SeriesBucket[]>
  /** Of the steps measured so far (`stepSeconds`), or undefined where there is none. */
  stepTimes(
    runId: RunId,
  ): Promise<{ readonly steps: number; readonly mean: number; readonly p50: number; readonly p90: number } | undefined>
}

/** What the store still names of one run. */
export interface RunReferences {
  readonly runId: RunId
  readonly kind: RunKind
  readonly state: RunState
  /** Not in an end state: an attempt may be writing now, so nothing of it may go. */
  readonly live: boolean
  /** A grid that was not cancelled wants it. */
  readonly wanted: boolean
  /** Of artifacts and checkpoints, as they were reported: relative to the run. */
  readonly names: readonly string[]
}

export interface ReferenceReader {
  /** A run that the answer lacks is unknown to the lab. At most 1000 ids a call. */
  references(runIds: readonly RunId[]): Promise<readonly RunReferences[]>
}
