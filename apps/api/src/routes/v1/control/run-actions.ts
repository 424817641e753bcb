/** Actions on one run. Each may be repeated: what is done already is refused run by run, not with an error. */
import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ControlAction } from '#libs/runs'
import type { ApiDeps } from '../../../deps.ts'
import { problems, runIdParams } from '../../../wire/common.ts'
import { prioritySchema, runOutcomeSchema, wireOutcome } from '../../../wire/control.ts'
import { existingRun, resolveRun } from '../runs/resolve-run.ts'
import { act, PLAIN_ACTIONS, type PlainAction } from './act.ts'

const tags = ['runs']
const response = { 200: runOutcomeSchema, ...problems(400, 401, 403, 404, 422) }

export const runActionRoutes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  async function actOnRun(request: FastifyRequest, idOrPrefix: string, action: ControlAction, priority?: number) {
    const id = await resolveRun(deps.reader, idOrPrefix)
    request.auditSubject = id
    const outcome = await act(deps.control, request, action, { runId: id }, priority)
    return { id, state: (await existingRun(deps.reader, id)).state, ...wireOutcome(outcome) }
  }

  for (const [action, summary] of Object.entries(PLAIN_ACTIONS) as [PlainAction, string][]) {
    app.post(`/:id/${action}`, {
      config: { role: 'submit', action: `run.${action}` },
      schema: { tags, summary, params: runIdParams, response },
      handler: async (request) => await actOnRun(request, request.params.id, action),
    })
  }

  app.post('/:id/priority', {
    config: { role: 'submit', action: 'run.priority' },
    schema: {
      tags,
      summary: 'Move the run, and what it waits for, in the line',
      params: runIdParams,
      body: z.strictObject({ priority: prioritySchema }),
      response,
    },
    handler: async (request) => await actOnRun(request, request.params.id, 'priority', request.body.priority),
  })
}
