/** Everything that is only read. */
import type { LabReader } from '#libs/runs'
import type { Database } from './database.ts'
import { createEventReader } from './reader-events.ts'
import { createGaugeReader } from './reader-gauges.ts'
import { createGridReader } from './reader-grids.ts'
import { createRunReader } from './reader-runs.ts'
import { createWhyReader } from './reader-why.ts'

export function createLabReader(db: Database): LabReader {
  return {
    ...createGridReader(db),
    ...createRunReader(db),
    ...createEventReader(db),
    ...createWhyReader(db),
    ...createGaugeReader(db),
  }
}
