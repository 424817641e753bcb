import { z } from 'zod'
import type { AuditEvent } from '#libs/runs'
import { isoTime } from './common.ts'

export const auditEventSchema = z
  .object({
    id: z.string(),
    at: isoTime,
    actor: z.string().describe('owner/name of the key; "local" on a server without keys'),
    action: z.string().describe('such as grid.submit'),
    subject: z.string().describe('id of what was changed; empty where nothing was, or several'),
    data: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .describe('status of the answer, and more'),
  })
  .meta({ id: 'AuditEvent' })

export function wireAuditEvent({ id, at, actor, action, subject, data }: AuditEvent): z.input<typeof auditEventSchema> {
  return { id: id.toString(), at: at.toISOString(), actor, action, subject, data: { ...data } }
}
