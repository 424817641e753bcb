import { createHash, randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { hashApiKey, newApiKey } from '#libs/runs'
import type { ApiDeps } from '../../../deps.ts'
import { HttpProblem, notFound } from '../../../errors.ts'
import { pagedSchema, pageOf, pageQuery, problems } from '../../../wire/common.ts'
import { createdKeySchema, keySchema, newKeySchema, wireKey } from '../../../wire/key.ts'
import { pageOfList } from '../../../wire/paged-list.ts'

const tags = ['access']

/** The same idempotency key of the same owner is the same id, so that a repeated request makes no second key. */
function idOf(owner: string, idempotencyKey: string | undefined): string {
  if (idempotencyKey === undefined) return randomUUID()
  return createHash('sha256')
    .update(JSON.stringify([owner, idempotencyKey]))
    .digest('hex')
    .slice(0, 32)
}

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  const { apiKeys: keys } = deps

  app.post('/', {
    config: { role: 'admin', action: 'key.create' },
    schema: {
      tags,
      summary: 'Make an API key',
      description: 'The answer holds the key, which is kept nowhere. The first key is made by "cxrlab keys create --direct".',
      headers: z.object({ 'idempotency-key': z.string().min(1).max(200).optional() }),
      body: newKeySchema,
      response: { 201: createdKeySchema, ...problems(401, 403, 409, 422) },
    },
    handler: async (request, reply) => {
      const id = idOf(request.body.owner, request.headers['idempotency-key'])
      if ((await keys.list()).some((known) => known.id === id)) {
        throw new HttpProblem(
          409,
          'idempotency-conflict',
          `key ${id} was made by this request before, and is shown once; revoke it if it was lost`,
        )
      }
      const key = newApiKey()
      const made = await keys.create({ ...request.body, id, hash: hashApiKey(key) })
      request.auditSubject = made.id
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...wireKey(made), key })
    },
  })

  app.get('/', {
    config: { role: 'admin' },
    schema: {
      tags,
      summary: 'List API keys, oldest first, those revoked too',
      querystring: z.strictObject(pageQuery),
      response: { 200: pagedSchema(keySchema), ...problems(400, 401, 403, 422) },
    },
    handler: async (request) => {
      const { items, nextCursor } = pageOfList(await keys.list(), pageOf(request.query))
      return { items: items.map(wireKey), nextCursor }
    },
  })

  app.delete('/:id', {
    config: { role: 'admin', action: 'key.revoke' },
    schema: {
      tags,
      summary: 'Revoke an API key: it is refused from now on',
      params: z.object({ id: z.string().min(1).max(64).describe('id of the key, not the key') }),
      response: { 204: z.null(), ...problems(401, 403, 404, 422) },
    },
    handler: async (request, reply) => {
      if (!(await keys.revoke(request.params.id))) throw notFound('key', request.params.id)
      return reply.code(204).send(null)
    },
  })
}

export default routes
