/** The queue may lose everything: attempts that wait without a job get one again. */
import type { RunQueue, SchedulerStore } from '#libs/runs'

const BATCH = 500

/** Gives how many jobs had been lost. */
export async function requeueLost(store: SchedulerStore, queue: RunQueue): Promise<number> {
  const waiting = await store.waitingAttempts(BATCH)
  if (waiting.length === 0) return 0
  const missing = new Set(await queue.missing(waiting))
  const lost = waiting.filter(({ attemptId }) => missing.has(attemptId))
  if (lost.length > 0) await queue.add(lost)
  return lost.length
}
