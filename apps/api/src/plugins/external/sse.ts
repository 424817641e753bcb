import { fastifySSE } from '@fastify/sse'
import fp from 'fastify-plugin'

/** Comment lines keep proxies from closing an idle event stream. */
const HEARTBEAT_MS = 15_000

export default fp(async (app) => {
  await app.register(fastifySSE, { heartbeatInterval: HEARTBEAT_MS })
})
