import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { gridRequestSchema } from '#libs/experiments'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'
import { notFound } from '../../../errors.ts'
import { actorOf } from '../../../route-config.ts'
import { bodyAsItCame } from '../../../validation.ts'
import { flag, gridIdParams, pagedSchema, pageOf, pageQuery, problems } from '../../../wire/common.ts'
import {
  gridDetailSchema,
  gridSummarySchema,
  ledgerRowSchema,
  submittedGridSchema,
  wireGrid,
  wireGridDetail,
  wireLedgerRow,
  wireSubmitted,
} from '../../../wire/grid.ts'
import { gridActionRoutes } from '../control/grid-actions.ts'
import { resolveGrid } from './resolve-grid.ts'
import { resultsRoutes } from './results.ts'
import { submitGrid } from './submit.ts'

const tags = ['grids']

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps; readonly options: ApiOptions }> = async (
  app,
  { deps, options },
) => {
  const resolve = (idOrName: string) => resolveGrid(deps.reader, idOrName)

  app.post('/', {
    config: { role: 'submit', action: 'grid.submit' },
    schema: {
      tags,
      summary: 'Submit a grid',
      description: 'The same request again is the same grid (200). With dryRun the answer is computed and nothing is written.',
      querystring: z.strictObject({ dryRun: flag }),
      headers: z.object({ 'idempotency-key': z.string().min(1).max(200).optional() }),
      body: gridRequestSchema,
      response: { 200: submittedGridSchema, 201: submittedGridSchema, ...problems(409, 422, 429) },
    },
    // The body is parsed by the experiments library, which finds every problem at once and gives each its own code.
    validatorCompiler: bodyAsItCame,
    handler: async (request, reply) => {
      const { dryRun } = request.query
      const idempotencyKey = request.headers['idempotency-key'] ?? null
      const { owner } = actorOf(request)
      const grid = await submitGrid(deps, options, { body: request.body, owner, idempotencyKey, dryRun })
      request.auditSubject = dryRun ? false : grid.gridId
      if (!dryRun) reply.header('location', `/v1/grids/${grid.gridId}`)
      return reply.code(grid.created && !dryRun ? 201 : 200).send(wireSubmitted(grid, dryRun))
    },
  })

  app.get('/', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'List grids, newest first',
      querystring: z.strictObject(pageQuery),
      response: { 200: pagedSchema(gridSummarySchema), ...problems(400, 422) },
    },
    handler: async (request) => {
      const page = await deps.reader.grids(pageOf(request.query))
      return { items: page.items.map(wireGrid), nextCursor: page.nextCursor }
    },
  })

  app.get('/:id', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'One grid with its counts',
      params: gridIdParams,
      response: { 200: gridDetailSchema, ...problems(400, 404) },
    },
    handler: async (request) => {
      const grid = await deps.reader.grid(await resolve(request.params.id))
      if (grid === undefined) throw notFound('grid', request.params.id)
      return wireGridDetail(grid)
    },
  })

  app.get('/:id/points', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'The ledger: every point of the grid and what became of it',
      params: gridIdParams,
      querystring: z.strictObject(pageQuery),
      response: { 200: pagedSchema(ledgerRowSchema), ...problems(400, 404, 422) },
    },
    handler: async (request) => {
      const page = await deps.reader.ledger(await resolve(request.params.id), pageOf(request.query))
      return { items: page.items.map(wireLedgerRow), nextCursor: page.nextCursor }
    },
  })

  await app.register(gridActionRoutes, { deps })
  await app.register(resultsRoutes, { deps, resolve })
}

export default routes
