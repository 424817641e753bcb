import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps } from '../../../deps.ts'
import { pagedSchema, pageOf, pageQuery, problems } from '../../../wire/common.ts'
import { pageOfList } from '../../../wire/paged-list.ts'
import { wireWorker, workerSchema } from '../../../wire/worker.ts'

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  app.get('/', {
    config: { role: 'read' },
    schema: {
      tags: ['workers'],
      summary: 'List workers and what each works on: those alive first, none that was not seen for a day',
      querystring: z.strictObject(pageQuery),
      response: { 200: pagedSchema(workerSchema), ...problems(400, 401, 403, 422) },
    },
    handler: async (request) => {
      const { items, nextCursor } = pageOfList(await deps.workers.workers(), pageOf(request.query))
      return { items: items.map(wireWorker), nextCursor }
    },
  })
}

export default routes
