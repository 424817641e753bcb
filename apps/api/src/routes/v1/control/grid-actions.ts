/** Actions on a grid as a whole: runs that another live grid wants are left alone. */
import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ControlAction } from '#libs/runs'
import type { ApiDeps } from '../../../deps.ts'
import { gridIdParams, problems } from '../../../wire/common.ts'
import { gridOutcomeSchema, prioritySchema, wireOutcome } from '../../../wire/control.ts'
import { resolveGrid } from '../grids/resolve-grid.ts'
import { act, PLAIN_ACTIONS, type PlainAction } from './act.ts'

const tags = ['grids']
const response = { 200: gridOutcomeSchema, ...problems(400, 401, 403, 404, 422) }

export const gridActionRoutes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  async function actOnGrid(request: FastifyRequest, idOrName: string, action: ControlAction, priority?: number) {
    const gridId = await resolveGrid(deps.reader, idOrName)
    request.auditSubject = gridId
    return { gridId, ...wireOutcome(await act(deps.control, request, action, { gridId }, priority)) }
  }

  for (const [action, summary] of Object.entries(PLAIN_ACTIONS) as [PlainAction, string][]) {
    app.post(`/:id/${action}`, {
      config: { role: 'submit', action: `grid.${action}` },
      schema: { tags, summary, params: gridIdParams, response },
      handler: async (request) => await actOnGrid(request, request.params.id, action),
    })
  }

  app.post('/:id/priority', {
    config: { role: 'submit', action: 'grid.priority' },
    schema: {
      tags,
      summary: 'Move the runs of the grid in the line, as far as no other live grid asks for more',
      params: gridIdParams,
      body: z.strictObject({ priority: prioritySchema }),
      response,
    },
    handler: async (request) => await actOnGrid(request, request.params.id, 'priority', request.body.priority),
  })
}
