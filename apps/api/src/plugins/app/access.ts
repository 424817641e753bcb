import type { FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type ApiKeyStore, hashApiKey, isApiKey, roleAllows } from '#libs/runs'
import { HttpProblem } from '../../errors.ts'
import { type Actor, LOCAL_ACTOR } from '../../route-config.ts'

/** `last used` is for people who clean up keys: a write a minute and key is enough. */
const TOUCH_EVERY_MS = 60_000

interface AccessOptions {
  readonly keys: Pick<ApiKeyStore, 'findByHash' | 'touch'>
  readonly auth: 'keys' | 'off'
}

/**
 * Who asks, and whether they may. The key is looked up when a request begins, so that the rate limit can count by key; the refusal
 * comes after the rate limit and before the body is read. A route without a role is a mistake that stops the start.
 */
export default fp<AccessOptions>(async (app, { keys, auth }) => {
  const touchedAt = new Map<string, number>()
  app.decorateRequest('actor', null)

  const routes: RouteOptions[] = []
  app.decorate('registeredRoutes', routes)
  app.addHook('onRoute', (route) => void routes.push(route))
  app.addHook('onReady', async () => routes.forEach(checkRoute))

  app.addHook('onRequest', async (request) => {
    if (auth === 'off') request.actor = LOCAL_ACTOR
    // Probes are answered without the database, whatever they carry.
    else if (request.routeOptions.config.role !== 'open') request.actor = await actorOf(request)
  })

  app.addHook('preParsing', async (request, reply) => {
    const needed = request.routeOptions.config.role
    if (request.is404 || needed === 'open') return
    if (request.actor === null) {
      reply.header('www-authenticate', 'Bearer realm="cxrlab"')
      throw new HttpProblem(401, 'key-refused', 'send an API key that is known here: "Authorization: Bearer cxrlab_..."')
    }
    if (needed === undefined || !roleAllows(request.actor.role, needed)) {
      throw new HttpProblem(403, 'role-insufficient', `this needs the role "${needed}"; the key has "${request.actor.role}"`)
    }
  })

  async function actorOf(request: FastifyRequest): Promise<Actor | null> {
    const key = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (key === undefined || !isApiKey(key)) return null
    const found = await keys.findByHash(hashApiKey(key))
    if (found === undefined) return null
    touch(request, found.id)
    return { owner: found.owner, name: `${found.owner}/${found.name}`, role: found.role, keyId: found.id }
  }

  /** Never in the way of the request. */
  function touch(request: FastifyRequest, id: string): void {
    const now = performance.now()
    if (now - (touchedAt.get(id) ?? Number.NEGATIVE_INFINITY) < TOUCH_EVERY_MS) return
    touchedAt.set(id, now)
    keys.touch(id).catch((error: unknown) => {
      touchedAt.delete(id)
      request.log.warn({ err: error }, 'cannot note the use of an API key')
    })
  }
})

function checkRoute({ method, url, config }: RouteOptions): void {
  if (config?.role === undefined) throw new Error(`route ${String(method)} ${url} does not say which role may ask`)
  if (!isReading(method) && config.action === undefined) throw new Error(`route ${String(method)} ${url} has no audit action`)
}

function isReading(method: string | string[]): boolean {
  return [method].flat().every((name) => ['GET', 'HEAD'].includes(name.toUpperCase()))
}
