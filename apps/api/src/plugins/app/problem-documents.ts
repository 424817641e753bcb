import fp from 'fastify-plugin'
import { notFoundRoute, problemOf } from '../../problem.ts'

/** Every answer that is not a success is a problem document; what we did not foresee is logged with its cause. */
export default fp(async (app) => {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request.url)
    if (problem.status >= 500) request.log.error({ err: error, status: problem.status }, 'request failed')
    reply.problemCode = problem.code
    return reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem)
  })
  app.setNotFoundHandler((request, reply) => {
    const problem = problemOf(notFoundRoute(request.method, request.url), request.url)
    return reply.code(404).type('application/problem+json').serializer(JSON.stringify).send(problem)
  })
})
