import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'

/**
 * Security headers. The documentation page carries its own policy (swagger.ts); everything else is data and may load nothing.
 * No HSTS and no upgrade of insecure requests: the api speaks plain HTTP on loopback, TLS is the ingress's part.
 */
export default fp(async (app) => {
  await app.register(helmet, {
    strictTransportSecurity: false,
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  })
})
