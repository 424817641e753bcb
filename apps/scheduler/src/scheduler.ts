/** The scheduler's loop: four jobs at their own pace, while this process is the one that leads. */
import { setTimeout as delay } from 'node:timers/promises'
import type { PlanningStore, RunQueue, SchedulerStore } from '#libs/runs'
import type { ShareLimits } from '#libs/scheduling'
import type { Logger } from '#libs/telemetry'
import { makeRoom } from './make-room.ts'
import { LinePlanner } from './plan-queue.ts'
import { requeueLost } from './requeue-lost.ts'

export interface SchedulerTiming {
  readonly outboxPollMs: number
  readonly leaseSweepMs: number
  readonly requeueSweepMs: number
  readonly leadershipRetryMs: number
  readonly preemptSweepMs: number
}

/** What is shared among users, and how. */
export interface SharePolicy {
  readonly halfLifeMs: number
  readonly limits: ShareLimits
  readonly window: number
  /** How long something more urgent waits before something else makes room; null: nothing ever does. */
  readonly preemptAfterMs: number | null
  readonly preemptMinHeldMs: number
}

export interface SchedulerParts {
  readonly store: SchedulerStore
  readonly planning: PlanningStore
  readonly queue: RunQueue
  readonly share: SharePolicy
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

/** Use and costs are measured over hours and days: they need not be newer. */
const USAGE_EVERY_MS = 60_000

async function lead({ store, planning, queue, timing, share, logger }: SchedulerParts, signal: AbortSignal): Promise<void> {
  const planner = new LinePlanner({ ...share, planning, queue, usageEveryMs: USAGE_EVERY_MS, now: () => performance.now() })
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
      () => planner.plan(),
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
    every(
      'runs asked to make room',
      async () => {
        const { preemptAfterMs: afterMs, preemptMinHeldMs: minHeldMs } = share
        return afterMs === null ? 0 : makeRoom(planning, { afterMs, minHeldMs })
      },
      () => pause(timing.preemptSweepMs, signal),
    ),
  ])
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
