import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { HttpProblem } from '../../errors.ts'

/** Health and metrics answer under pressure too: they are how an operator sees it. */
const ALWAYS_ANSWERED: ReadonlySet<string | undefined> = new Set(['/healthz', '/metrics'])

/** Refuses work with 503 while the event loop is late by more than `maxEventLoopDelayMs`. */
export default fp<{ readonly maxEventLoopDelayMs: number }>(async (app, { maxEventLoopDelayMs }) => {
  await app.register(underPressure, {
    maxEventLoopDelay: maxEventLoopDelayMs,
    retryAfter: 5,
    pressureHandler: (request) => {
      if (ALWAYS_ANSWERED.has(request.routeOptions.url)) return
      throw new HttpProblem(503, 'under-pressure', 'the server is overloaded; try again in a few seconds')
    },
  })
})
