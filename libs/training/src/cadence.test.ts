import { expect, it } from 'vitest'
import { checkpointDue } from './cadence.ts'

const cadence = { everyMs: 300_000, epochFloorMs: 60_000 }

it.each([
  { sinceLastMs: 299_999, epochEnded: false, due: false, when: 'inside an epoch before the interval is over' },
  { sinceLastMs: 300_000, epochEnded: false, due: true, when: 'inside an epoch once the interval is over' },
  { sinceLastMs: 59_999, epochEnded: true, due: false, when: 'at the end of an epoch shorter than the floor' },
  { sinceLastMs: 60_000, epochEnded: true, due: true, when: 'at the end of an epoch of at least the floor' },
])('writes a checkpoint ($due) $when', ({ sinceLastMs, epochEnded, due }) => {
  expect(checkpointDue(cadence, sinceLastMs, epochEnded)).toBe(due)
})
