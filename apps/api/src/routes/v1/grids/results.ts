/** The grid's results as a table; the numbers and its layout are the evaluation library's. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { buildTable, renderTable, SEED_HANDLINGS, TABLE_FORMATS, type TableFormat, type TableInput } from '#libs/evaluation'
import type { GridResultRow } from '#libs/runs'
import type { ApiDeps } from '../../../deps.ts'
import { flag, gridIdParams, problems } from '../../../wire/common.ts'

const CONTENT_TYPES: Readonly<Record<TableFormat, string>> = {
  table: 'text/plain; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
  latex: 'application/x-latex; charset=utf-8',
  markdown: 'text/markdown; charset=utf-8',
}

const METRICS = ['auroc', 'auprc'] as const

interface Options {
  readonly deps: ApiDeps
  /** Id of a grid that exists, by id, prefix or name. */
  readonly resolve: (idOrName: string) => Promise<string>
}

export const resultsRoutes: FastifyPluginAsyncZod<Options> = async (app, { deps, resolve }) => {
  app.get('/:id/results', {
    config: { role: 'read' },
    schema: {
      tags: ['grids'],
      summary: 'Results as json, csv, latex, markdown or a plain table',
      description: 'A row for each model, a column for each test; points without a result yet are left out.',
      params: gridIdParams,
      querystring: z.strictObject({
        format: z.enum(TABLE_FORMATS).default('json'),
        metric: z.enum(METRICS).optional().describe('only this metric'),
        labels: flag.describe('a row for each label, not only the macro mean'),
        seeds: z.enum(SEED_HANDLINGS).default('rows').describe('mean: mean and standard deviation over seeds'),
      }),
      produces: Object.values(CONTENT_TYPES).map((type) => type.split(';')[0] ?? type),
      response: { ...problems(400, 404, 422) },
    },
    handler: async (request, reply) => {
      const { format, metric, labels, seeds } = request.query
      const rows = await deps.reader.results(await resolve(request.params.id))
      const wanted = rows.filter((row) => metric === undefined || row.metric === metric).map(tableInput)
      const text = renderTable(buildTable(wanted, { detail: labels ? 'per-label' : 'macro', seeds }), format)
      reply.header('content-type', CONTENT_TYPES[format])
      return reply.send(text as never)
    },
  })
}

function tableInput({ point, label, metric, value, low, high }: GridResultRow): TableInput {
  return { ...point, label, metric, value, low, high }
}
