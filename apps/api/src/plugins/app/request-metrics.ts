import fp from 'fastify-plugin'
import type { ApiDeps } from '../../deps.ts'

/** Duration of each request by method, route pattern and status; event streams, which last as long as their reader, are left out. */
export default fp<{ readonly registry: ApiDeps['registry'] }>(async (app, { registry }) => {
  app.addHook('onResponse', async (request, reply) => {
    if (String(reply.raw.getHeader('content-type') ?? '').startsWith('text/event-stream')) return
    registry.metrics.httpRequestDuration.observe(
      { method: request.method, route: request.routeOptions.url ?? 'unmatched', status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    )
  })
})
