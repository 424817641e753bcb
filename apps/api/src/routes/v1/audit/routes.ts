import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps } from '../../../deps.ts'
import { auditEventSchema, wireAuditEvent } from '../../../wire/audit.ts'
import { pagedSchema, pageOf, pageQuery, problems } from '../../../wire/common.ts'

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  app.get('/', {
    config: { role: 'admin' },
    schema: {
      tags: ['access'],
      summary: 'Who changed what, newest first',
      querystring: z.strictObject({
        ...pageQuery,
        actor: z.string().min(1).max(200).optional(),
        action: z.string().min(1).max(60).optional(),
        subject: z.string().min(1).max(200).optional().describe('full id'),
      }),
      response: { 200: pagedSchema(auditEventSchema), ...problems(400, 401, 403, 422) },
    },
    handler: async (request) => {
      const { actor, action, subject } = request.query
      const filter = { ...(actor && { actor }), ...(action && { action }), ...(subject && { subject }) }
      const page = await deps.audit.page(filter, pageOf(request.query))
      return { items: page.items.map(wireAuditEvent), nextCursor: page.nextCursor }
    },
  })
}

export default routes
