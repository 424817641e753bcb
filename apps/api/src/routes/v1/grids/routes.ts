import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { gridRequestSchema } from '#libs/experiments'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'
import { notFound } from '../../../errors.ts'
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
import { resultsRoutes } from './results.ts'
import { submitGrid } from './submit.ts'

const tags = ['grids']

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps; readonly options: ApiOptions }> = async (
  app,
  { deps, options },
) => {
  const resolve = async (idOrName: string): Promise<string> => {
    const id = await deps.reader.resolveGrid(idOrName)
    if (id === undefined) throw notFound('grid', idOrName)
    return id
  }

  app.post('/', {
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
      const grid = await submitGrid(deps, options, { body: request.body, idempotencyKey, dryRun })
      if (!dryRun) reply.header('location', `/v1/grids/${grid.gridId}`)
      return reply.code(grid.created && !dryRun ? 201 : 200).send(wireSubmitted(grid, dryRun))
    },
  })

  app.get('/', {
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

  app.post('/:id/cancel', {
    schema: {
      tags,
      summary: 'Cancel all runs of the grid that no other live grid wants',
      params: gridIdParams,
      response: { 200: z.object({ gridId: z.string(), cancelledRuns: z.int() }), ...problems(400, 404) },
    },
    handler: async (request) => {
      const gridId = await resolve(request.params.id)
      return { gridId, cancelledRuns: await deps.control.cancelGrid(gridId) }
    },
  })

  await app.register(resultsRoutes, { deps, resolve })
}

export default routes
