/** What every route says of itself beside its schema, and what a request carries to its handler. */
import type { ApiRole } from '#libs/runs'

/** `open`: anybody may ask, without a key. */
export type RouteRole = ApiRole | 'open'

/** Who asks. Without keys everybody is `local`, and may do everything. */
export interface Actor {
  /** Owner of the grids that it submits. */
  readonly owner: string
  /** For the audit: the owner and the key's name. */
  readonly name: string
  readonly role: ApiRole
  readonly keyId: string | null
}

export const LOCAL_ACTOR: Actor = { owner: 'local', name: 'local', role: 'admin', keyId: null }

declare module 'fastify' {
  interface FastifyInstance {
    /** Every route with what it says of itself: tests walk them. */
    readonly registeredRoutes: readonly RouteOptions[]
  }
  interface FastifyContextConfig {
    /** Least role that may ask; the server does not start with a route that has none. */
    role?: RouteRole
    /** Name of what the route changes, for the audit; every route that is not GET has one. */
    action?: string
  }
  interface FastifyRequest {
    /** Null where no key, or none that is known, came with the request. */
    actor: Actor | null
    /** Id of what the request is about, where that is not `:id` of its address; false: nothing was changed, so nothing is noted. */
    auditSubject: string | null | false
    /** What else the audit notes: counts and ids. */
    auditData: Readonly<Record<string, string | number | boolean | null>> | null
  }
  interface FastifyReply {
    /** Code of the problem document that answers the request. */
    problemCode: string | null
  }
}

/** The actor of a request that passed access control (plugins/app/access.ts). */
export function actorOf(request: { readonly actor: Actor | null }): Actor {
  if (request.actor === null) throw new Error('a route that needs an actor was declared open')
  return request.actor
}
