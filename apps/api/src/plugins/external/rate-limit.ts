import rateLimit from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import { HttpProblem } from '../../errors.ts'
import '../../route-config.ts'

/** A bound for each API key, or client address without one, so that a script gone wild cannot starve workers of the database. */
export default fp<{ readonly perMinute: number }>(async (app, { perMinute }) => {
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: '1 minute',
    keyGenerator: (request) => request.actor?.keyId ?? request.ip,
    errorResponseBuilder: (_request, context) =>
      new HttpProblem(429, 'too-many-requests', `more than ${context.max} requests a minute; try again in ${context.after}`),
  })
})
