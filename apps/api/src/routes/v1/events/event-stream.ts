/** Events as an endless sequence: what is stored after a cursor, then what comes, until the reader goes away. */
import type { LabEvent, LabReader } from '#libs/runs'

export interface EventFilter {
  readonly runId?: string
  readonly gridId?: string
}

const BATCH = 500
/** A notification may be lost with its connection: so look again after this time even without one. */
const LOOK_AGAIN_MS = 5000

export async function* eventsAfter(
  reader: Pick<LabReader, 'events' | 'waitForEvent'>,
  filter: EventFilter,
  start: bigint,
  signal: AbortSignal,
): AsyncGenerator<LabEvent, void, void> {
  let after = start
  while (!signal.aborted) {
    const batch = await reader.events({ ...filter, after, limit: BATCH })
    for (const event of batch) {
      yield event
      after = event.id
    }
    if (batch.length === 0) await reader.waitForEvent(LOOK_AGAIN_MS, signal)
  }
}
