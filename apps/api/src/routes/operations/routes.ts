import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps } from '../../deps.ts'
import { HttpProblem } from '../../errors.ts'
import { clearGauges, fillGauges } from '../../lab-gauges.ts'
import { problems } from '../../wire/common.ts'

const tags = ['operations']
const statusSchema = z.object({ status: z.literal('ok') })
/** Probes and scrapers carry no key; what they see are counts, never an id. */
const config = { rateLimit: false, role: 'open' } as const

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  const { reader, registry } = deps

  app.get('/healthz', {
    config,
    schema: { tags, summary: 'The process lives', response: { 200: statusSchema } },
    handler: async () => ({ status: 'ok' as const }),
  })

  app.get('/readyz', {
    config,
    schema: { tags, summary: 'The process can serve: the database answers', response: { 200: statusSchema, ...problems(503) } },
    handler: async (request) => {
      try {
        await reader.grids({ cursor: null, limit: 1 })
      } catch (error) {
        request.log.warn({ err: error }, 'not ready')
        throw new HttpProblem(503, 'not-ready', 'the database does not answer')
      }
      return { status: 'ok' as const }
    },
  })

  app.get('/metrics', {
    config,
    schema: { tags, summary: 'Metrics in the Prometheus text format', produces: ['text/plain'], response: { 200: z.string() } },
    handler: async (request, reply) => {
      try {
        fillGauges(registry.metrics, await reader.gauges())
      } catch (error) {
        // Without a database the process's own metrics still tell something; stale counts of runs would lie.
        request.log.warn({ err: error }, 'metrics without the state of the lab')
        clearGauges(registry.metrics)
      }
      reply.header('content-type', registry.contentType).serializer((text: unknown) => String(text))
      return await registry.expose()
    },
  })
}

export default routes
