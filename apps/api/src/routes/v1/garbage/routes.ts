import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { ApiDeps } from '../../../deps.ts'
import { HttpProblem } from '../../../errors.ts'
import { problems } from '../../../wire/common.ts'
import { garbageReportSchema, garbageRequestSchema, wireGarbage } from '../../../wire/garbage.ts'

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  let isAtWork = false

  app.post('/', {
    config: { role: 'admin', action: 'artifacts.collect' },
    schema: {
      tags: ['artifacts'],
      summary: 'Collect garbage: objects that no live run, manifest or record names any more',
      description:
        'Ask with "dryRun": true first. Nothing of a run that is not in an end state goes, nor of one that was written to lately.',
      body: garbageRequestSchema,
      response: { 200: garbageReportSchema, ...problems(401, 403, 409, 422) },
    },
    handler: async (request) => {
      const { dryRun, olderThanSeconds, unwanted, limit } = request.body
      if (dryRun) request.auditSubject = false
      if (isAtWork) throw new HttpProblem(409, 'collection-at-work', 'another collection is at work; ask again when it is done')
      isAtWork = true
      try {
        const before = new Date(Date.now() - olderThanSeconds * 1000)
        const report = await deps.collectGarbage({ before, dryRun, unwanted, limit })
        if (!dryRun) request.auditData = { deleted: report.deleted, olderThanSeconds, unwanted }
        return wireGarbage(report, dryRun)
      } finally {
        isAtWork = false
      }
    },
  })
}

export default routes
