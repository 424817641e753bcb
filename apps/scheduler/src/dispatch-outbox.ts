/** Outbox -> queue. A crash between the two hands an attempt over twice, which the queue and the lease both ignore. */
import type { RunQueue, SchedulerStore } from '#libs/runs'

const BATCH = 500

/** Gives how many attempts were handed over. */
export async function dispatchOutbox(store: SchedulerStore, queue: RunQueue): Promise<number> {
  let handed = 0
  for (;;) {
    const messages = await store.pendingOutbox(BATCH)
    if (messages.length === 0) return handed
    await queue.add(messages)
    await store.confirmOutbox(messages.map(({ id }) => id))
    handed += messages.length
  }
}
