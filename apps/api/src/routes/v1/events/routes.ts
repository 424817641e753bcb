import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps } from '../../../deps.ts'
import { cursorSchema, resumeAfter, sendStream } from '../../../sse.ts'
import { problems, runIdParams } from '../../../wire/common.ts'
import { eventSchema, type WireEvent, wireEvent } from '../../../wire/event.ts'
import { resolveGrid } from '../grids/resolve-grid.ts'
import { resolveRun } from '../runs/resolve-run.ts'
import { type EventFilter, eventsAfter } from './event-stream.ts'

const pageSchema = z.object({
  items: z.array(eventSchema),
  nextAfter: z.string().describe('ask with after = this for what comes next; unchanged where nothing came'),
})

const description =
  'With Accept: text/event-stream an endless stream of server-sent events, resumed by Last-Event-ID; else one page as JSON.'

interface EventQuery {
  readonly after: string
  readonly limit: number
}
const querystring = {
  after: cursorSchema.default('0').describe('events after this one; 0: from the first'),
  limit: z.coerce.number().int().min(1).max(1000).default(200).describe('of a JSON page'),
}

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  const { reader } = deps
  // Streams end with the server: Fastify's close waits for them otherwise.
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())

  async function answer(request: FastifyRequest, reply: FastifyReply, filter: EventFilter, query: EventQuery): Promise<unknown> {
    if (reply.sse === undefined) return await pageOfEvents(deps, filter, query)
    const start = resumeAfter(reply, query.after)
    await sendStream(request, reply, closing.signal, async function* (signal) {
      for await (const event of eventsAfter(reader, filter, start, signal)) yield messageOf(wireEvent(event))
    })
    return reply
  }

  const response = { 200: pageSchema, ...problems(400, 404, 422) }

  app.get('/events', {
    config: { role: 'read' },
    sse: 'dual',
    schema: {
      tags: ['events'],
      summary: 'Events of the lab',
      description,
      querystring: z.strictObject({
        ...querystring,
        grid: z.string().min(1).max(120).optional().describe('grid id, prefix or name'),
      }),
      response,
    },
    handler: async (request, reply): Promise<never> => {
      const { grid } = request.query
      const gridId = grid === undefined ? undefined : await resolveGrid(reader, grid)
      return (await answer(request, reply, gridId === undefined ? {} : { gridId }, request.query)) as never
    },
  })

  app.get('/runs/:id/events', {
    config: { role: 'read' },
    sse: 'dual',
    schema: {
      tags: ['events'],
      summary: 'Events of one run',
      description,
      params: runIdParams,
      querystring: z.strictObject(querystring),
      response,
    },
    handler: async (request, reply): Promise<never> => {
      const runId = await resolveRun(reader, request.params.id)
      return (await answer(request, reply, { runId }, request.query)) as never
    },
  })
}

async function pageOfEvents({ reader }: ApiDeps, filter: EventFilter, query: EventQuery) {
  const events = await reader.events({ ...filter, after: BigInt(query.after), limit: query.limit })
  return { items: events.map(wireEvent), nextAfter: events.at(-1)?.id.toString() ?? query.after }
}

function messageOf(event: WireEvent) {
  return { id: event.id, event: event.type, data: event }
}

export default routes
