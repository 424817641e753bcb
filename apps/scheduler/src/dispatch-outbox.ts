/** Outbox -> queue. A crash between the two hands an attempt over twice, which the queue and the lease both ignore. */
import type { RunQueue, SchedulerStore } from '#libs/runs'

const BATCH = 500

/** Until the outbox is empty or `signal` aborts; gives how many attempts were handed over. */
export async function dispatchOutbox(store: SchedulerStore, queue: RunQueue, signal: AbortSignal): Promise<number> {
  let handed = 0
  while (!signal.aborted) {
    const messages = await store.pendingOutbox(BATCH)
    if (messages.length === 0) break
    await queue.add(messages)
    await store.confirmOutbox(messages.map(({ id }) => id))
    handed += messages.length
  }
  return handed
}
