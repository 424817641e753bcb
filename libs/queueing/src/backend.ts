/** What the two servers differ in: how a queue and a worker are opened on them. The rest of this lib sees only this. */
import type { QueueTiming } from './timing.ts'

/** The part of BullMQ's Queue that is used here. */
export interface BackendQueue {
  addBulk(jobs: { name: string; data: unknown; opts: { jobId: string; priority: number } }[]): Promise<unknown>
  getJobState(jobId: string): Promise<string>
  getJob(jobId: string): Promise<{ changePriority(options: { priority: number }): Promise<unknown> } | undefined>
  getJobCounts(...states: ('wait' | 'prioritized' | 'delayed' | 'active')[]): Promise<Record<string, number>>
  close(): Promise<void>
}

/** The part of BullMQ's Worker that is used here. */
export interface BackendWorker {
  pause(doNotWaitActive: boolean): Promise<void>
  close(): Promise<void>
}

export interface BackendWorkerOptions {
  readonly concurrency: number
  readonly timing: QueueTiming
  readonly onError: (error: Error) => void
  /** Gets the job's data as it lies in the queue, unchecked. */
  readonly handle: (jobId: string, data: unknown) => Promise<void>
}

export interface QueueBackend {
  /** @throws QueueUnreachableError */
  openQueue(name: string, onError: (error: Error) => void): Promise<BackendQueue>
  /** @throws QueueUnreachableError */
  openWorker(name: string, options: BackendWorkerOptions): Promise<BackendWorker>
}

export interface BackendOptions {
  readonly url: string
  /** Keeps labs that share one server apart: the key prefix on Redis, the schema on Postgres. */
  readonly namespace: string
  readonly timing: QueueTiming
}

/** A finished job leaves nothing behind, so that the same attempt id can be added again. */
export const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true } as const

/**
 * Options of a worker on either server. A job is handed on however many of its workers died: the attempt's lease, not the queue,
 * decides whether it still means anything.
 */
export function workerSettings(options: BackendWorkerOptions) {
  return {
    concurrency: options.concurrency,
    lockDuration: options.timing.lockMs,
    stalledInterval: options.timing.stalledMs,
    // The largest round number that an `integer` of Postgres holds; without a limit in practice.
    maxStalledCount: 1_000_000_000,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  }
}
