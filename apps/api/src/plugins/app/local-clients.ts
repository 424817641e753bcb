import fp from 'fastify-plugin'
import { isLoopback } from '../../config.ts'
import { HttpProblem } from '../../errors.ts'

/**
 * While there are no API keys, being on this machine is the only proof of a right. A web page that the user happens to visit is
 * on this machine too, in the browser: so requests under a foreign host name (DNS rebinding) and requests that another site
 * caused (Sec-Fetch-Site, which scripts cannot set) are refused.
 */
export default fp(async (app) => {
  app.addHook('onRequest', async (request) => {
    if (!isLoopback(request.hostname.replace(/^\[|\]$/g, ''))) {
      throw new HttpProblem(421, 'host-not-local', 'this server answers under 127.0.0.1, ::1 and localhost only')
    }
    const site = request.headers['sec-fetch-site']
    if (
      request.method !== 'GET' &&
      request.method !== 'HEAD' &&
      site !== undefined &&
      site !== 'same-origin' &&
      site !== 'none'
    ) {
      throw new HttpProblem(403, 'cross-site', 'a page of another site may not change anything here')
    }
  })
})
