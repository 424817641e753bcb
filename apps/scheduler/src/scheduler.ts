/** The scheduler's loop: three jobs at their own pace, while this process is the one that leads. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RunQueue, SchedulerStore } from '#libs/runs'
import type { Logger } from '#libs/telemetry'
import { dispatchOutbox } from './dispatch-outbox.ts'
import { requeueLost } from './requeue-lost.ts'

export interface SchedulerTiming {
  readonly outboxPollMs: number
  readonly leaseSweepMs: number
  readonly requeueSweepMs: number
  readonly leadershipRetryMs: number
}

export interface SchedulerParts {
  readonly store: SchedulerStore
  readonly queue: RunQueue
  readonly timing: SchedulerTiming
  readonly logger: Logger
}

/** Leads whenever it can until `signal` aborts; ends after the job in hand. */
export async function runScheduler(parts: SchedulerParts, signal: AbortSignal): Promise<void> {
  const { store, timing, logger } = parts
  while (!signal.aborted) {
    const leadership = await store.acquireLeadership().catch((error: unknown) => {
      logger.error({ err: error }, 'cannot ask for the leader lock')
      return undefined
    })
    if (!leadership) {
      await pause(timing.leadershipRetryMs, signal)
      continue
    }
    logger.info('this scheduler leads')
    const lost = new AbortController()
    void leadership.lost.then(() => lost.abort())
    await lead(parts, AbortSignal.any([signal, lost.signal]))
    await leadership.release().catch(() => undefined)
  }
}

async function lead({ store, queue, timing, logger }: SchedulerParts, signal: AbortSignal): Promise<void> {
  const every = async (what: string, job: () => Promise<number>, wait: () => Promise<void>) => {
    while (!signal.aborted) {
      try {
        const count = await job()
        if (count > 0) logger.info({ count }, what)
      } catch (error) {
        // The database or the queue is away: the truth waits in Postgres, the next round tries again.
        logger.error({ err: error }, `${what} failed`)
        await pause(timing.leadershipRetryMs, signal)
      }
      await wait()
    }
  }
  await Promise.all([
    every(
      'attempts handed to the queue',
      () => dispatchOutbox(store, queue, signal),
      () => store.waitForOutbox(timing.outboxPollMs, signal),
    ),
    every(
      'leases expired',
      () => store.expireLeases(),
      () => pause(timing.leaseSweepMs, signal),
    ),
    every(
      'lost jobs added again',
      () => requeueLost(store, queue),
      () => pause(timing.requeueSweepMs, signal),
    ),
  ])
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
