import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'
import { notFound } from '../../../errors.ts'
import { pagedSchema, pageOf, pageQuery, problems, runIdParams, runKindSchema, runStateSchema } from '../../../wire/common.ts'
import { runDetailSchema, runSummarySchema, whySchema, wireRun, wireRunDetail, wireWhy } from '../../../wire/run.ts'
import { runActionRoutes } from '../control/run-actions.ts'
import { selectionActionRoutes } from '../control/selection-actions.ts'
import { resolveGrid } from '../grids/resolve-grid.ts'
import { artifactRoutes } from './artifacts.ts'
import { resolveRun } from './resolve-run.ts'

const tags = ['runs']

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps; readonly options: ApiOptions }> = async (
  app,
  { deps, options },
) => {
  const { reader } = deps

  app.get('/', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'List runs, newest first',
      querystring: z.strictObject({
        ...pageQuery,
        grid: z.string().min(1).max(120).optional().describe('grid id, prefix or name'),
        kind: runKindSchema.optional(),
        state: runStateSchema.optional(),
      }),
      response: { 200: pagedSchema(runSummarySchema), ...problems(400, 404, 422) },
    },
    handler: async (request) => {
      const { grid, kind, state } = request.query
      const gridId = grid === undefined ? undefined : await resolveGrid(reader, grid)
      const filter = { ...(gridId && { gridId }), ...(kind && { kind }), ...(state && { state }) }
      const page = await reader.runs(filter, pageOf(request.query))
      return { items: page.items.map(wireRun), nextCursor: page.nextCursor }
    },
  })

  app.get('/:id', {
    config: { role: 'read' },
    schema: { tags, summary: 'One run', params: runIdParams, response: { 200: runDetailSchema, ...problems(400, 404, 422) } },
    handler: async (request) => {
      const run = await reader.run(request.params.id)
      if (run === undefined) throw notFound('run', request.params.id)
      return wireRunDetail(run)
    },
  })

  app.get('/:id/why', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'What the run waits for, or how it ended',
      params: runIdParams,
      response: { 200: whySchema, ...problems(400, 404, 422) },
    },
    handler: async (request) => {
      const why = await reader.why(await resolveRun(reader, request.params.id))
      if (why === undefined) throw notFound('run', request.params.id)
      return wireWhy(why)
    },
  })

  await app.register(runActionRoutes, { deps })
  await app.register(selectionActionRoutes, { deps })
  await app.register(artifactRoutes, { deps, options })
}

export default routes
