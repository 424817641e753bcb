/** Actions on the runs that a filter selects. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import type { RunFilter } from '#libs/runs'
import type { ApiDeps } from '../../../deps.ts'
import { invalidField } from '../../../errors.ts'
import { problems } from '../../../wire/common.ts'
import { selectionActionSchema, selectionOutcomeSchema, wireOutcome } from '../../../wire/control.ts'
import { resolveGrid } from '../grids/resolve-grid.ts'
import { act } from './act.ts'

type SelectionAction = z.output<typeof selectionActionSchema>

export const selectionActionRoutes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  app.post('/actions', {
    config: { role: 'submit', action: 'runs.act' },
    schema: {
      tags: ['runs'],
      summary: 'Pause, resume, cancel, retry or reprioritise all runs that a filter selects',
      description: 'Answers how many runs changed and which were refused, and why. The same again changes nothing more.',
      body: selectionActionSchema,
      response: { 200: selectionOutcomeSchema, ...problems(400, 401, 403, 404, 422) },
    },
    handler: async (request) => {
      const { action, filter } = request.body
      const priority = checkSelection(request.body)
      const { grid, kind, state, runs } = filter
      const gridId = grid === undefined ? undefined : await resolveGrid(deps.reader, grid)
      const selected: RunFilter = {
        ...(gridId && { gridId }),
        ...(kind && { kind }),
        ...(state && { state }),
        ...(runs && { runIds: runs }),
      }
      const outcome = await act(deps.control, request, action, { filter: selected }, priority)
      request.auditSubject = gridId ?? ''
      request.auditData = {
        ...request.auditData,
        verb: action,
        kind: kind ?? null,
        state: state ?? null,
        runs: runs?.length ?? null,
      }
      return wireOutcome(outcome)
    },
  })
}

/** The priority to set. @throws HttpProblem 422 where the parts of the request do not fit each other. */
function checkSelection({ action, filter, priority, all }: SelectionAction): number | undefined {
  if (Object.keys(filter).length === 0 && all !== true) {
    throw invalidField('/filter', 'filter-empty', 'the filter has no condition; "all": true says that every run is meant')
  }
  if (action === 'priority' && priority === undefined) {
    throw invalidField('/priority', 'missing-field', 'the action "priority" needs a priority')
  }
  if (action !== 'priority' && priority !== undefined) {
    throw invalidField('/priority', 'unknown-field', `the action "${action}" takes no priority`)
  }
  return priority
}
