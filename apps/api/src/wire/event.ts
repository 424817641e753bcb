import { z } from 'zod'
import type { LabEvent } from '#libs/runs'
import { isoTime } from './common.ts'

export const eventSchema = z
  .object({
    id: z.string().describe('cursor: a decimal number that rises with every event'),
    at: isoTime,
    type: z.string(),
    runId: z.string().nullable(),
    gridId: z.string().nullable(),
    attemptId: z.string().nullable(),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({ id: 'Event' })
export type WireEvent = z.input<typeof eventSchema>

export function wireEvent(event: LabEvent): WireEvent {
  const { type, runId, gridId, attemptId } = event
  return { id: event.id.toString(), at: event.at.toISOString(), type, runId, gridId, attemptId, data: { ...event.data } }
}
