import { z } from 'zod'
import type { WorkerView } from '#libs/runs'
import { isoTime } from './common.ts'

export const workerSchema = z
  .object({
    id: z.string(),
    hostname: z.string(),
    resourceClass: z.string(),
    engine: z.string(),
    version: z.string(),
    slots: z.int().describe('attempts that it takes at once'),
    alive: z.boolean().describe('seen within the last minute'),
    draining: z.string().nullable().describe('why it takes no more work'),
    firstSeenAt: isoTime,
    lastSeenAt: isoTime,
    attempts: z.array(z.object({ attemptId: z.string(), runId: z.string(), title: z.string(), leasedAt: isoTime })),
  })
  .meta({ id: 'Worker' })

export function wireWorker(worker: WorkerView): z.input<typeof workerSchema> {
  return {
    ...worker,
    firstSeenAt: worker.firstSeenAt.toISOString(),
    lastSeenAt: worker.lastSeenAt.toISOString(),
    attempts: worker.attempts.map((attempt) => ({ ...attempt, leasedAt: attempt.leasedAt.toISOString() })),
  }
}
