/** Points of a run as an endless sequence: what is stored after a cursor, then what comes, until the reader goes away. */
import { setTimeout as delay } from 'node:timers/promises'
import type { MetricPoint, SeriesReader } from '#libs/runs'

const BATCH = 1000
/**
 * Between two looks at a run without new points: half of the second within which a reader sees a point. Nobody is notified of
 * points: a notification at each commit of each worker would make all of them wait in one line (docs/adr/0025).
 */
const LOOK_AGAIN_MS = 500

export async function* pointsAfter(
  reader: Pick<SeriesReader, 'pointsAfter'>,
  runId: string,
  start: bigint,
  signal: AbortSignal,
  lookAgainMs = LOOK_AGAIN_MS,
): AsyncGenerator<MetricPoint, void, void> {
  let after = start
  while (!signal.aborted) {
    const batch = await reader.pointsAfter(runId, { after, limit: BATCH })
    for (const point of batch) {
      yield point
      after = point.seq
    }
    if (batch.length < BATCH) await delay(lookAgainMs, undefined, { signal }).catch(() => undefined)
  }
}
