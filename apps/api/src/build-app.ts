/** Composes the HTTP application from its parts; listens nowhere. */
import Fastify, { type FastifyInstance } from 'fastify'
import { serializerCompiler } from 'fastify-type-provider-zod'
import type { ApiDeps, ApiOptions } from './deps.ts'
import access from './plugins/app/access.ts'
import audit from './plugins/app/audit.ts'
import localClients from './plugins/app/local-clients.ts'
import problemDocuments from './plugins/app/problem-documents.ts'
import quickClose from './plugins/app/quick-close.ts'
import requestMetrics from './plugins/app/request-metrics.ts'
import helmet from './plugins/external/helmet.ts'
import rateLimit from './plugins/external/rate-limit.ts'
import sse from './plugins/external/sse.ts'
import swagger from './plugins/external/swagger.ts'
import underPressure from './plugins/external/under-pressure.ts'
import operations from './routes/operations/routes.ts'
import auditRoutes from './routes/v1/audit/routes.ts'
import compare from './routes/v1/compare/routes.ts'
import datasets from './routes/v1/datasets/routes.ts'
import events from './routes/v1/events/routes.ts'
import garbage from './routes/v1/garbage/routes.ts'
import grids from './routes/v1/grids/routes.ts'
import keys from './routes/v1/keys/routes.ts'
import metrics from './routes/v1/metrics/routes.ts'
import runs from './routes/v1/runs/routes.ts'
import weights from './routes/v1/weights/routes.ts'
import workers from './routes/v1/workers/routes.ts'
import { validatorCompiler } from './validation.ts'

export async function buildApp(deps: ApiDeps, options: ApiOptions): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: deps.logger,
    bodyLimit: options.bodyLimitBytes,
    // Ids in paths are short; an artifact's path may be longer than the default of 100.
    routerOptions: { maxParamLength: 1024 },
    forceCloseConnections: 'idle',
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)

  await app.register(problemDocuments)
  await app.register(quickClose)
  await app.register(requestMetrics, { registry: deps.registry })
  if (options.auth === 'off') await app.register(localClients)
  await app.register(helmet)
  await app.register(audit, { audit: deps.audit })
  await app.register(access, { keys: deps.apiKeys, auth: options.auth })
  await app.register(rateLimit, { perMinute: options.rateLimitPerMinute })
  await app.register(underPressure, { maxEventLoopDelayMs: options.maxEventLoopDelayMs })
  await app.register(sse)
  await app.register(swagger)

  await app.register(operations, { deps })
  await app.register(grids, { prefix: '/v1/grids', deps, options })
  await app.register(runs, { prefix: '/v1/runs', deps, options })
  await app.register(metrics, { prefix: '/v1/runs', deps })
  await app.register(events, { prefix: '/v1', deps })
  await app.register(workers, { prefix: '/v1/workers', deps })
  await app.register(compare, { prefix: '/v1/compare', deps })
  await app.register(garbage, { prefix: '/v1/garbage', deps })
  await app.register(keys, { prefix: '/v1/keys', deps })
  await app.register(auditRoutes, { prefix: '/v1/audit', deps })
  await app.register(datasets, { prefix: '/v1/datasets', deps, options })
  await app.register(weights, { prefix: '/v1/weights', deps })
  return app as unknown as FastifyInstance
}
