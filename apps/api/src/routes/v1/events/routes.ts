import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps } from '../../../deps.ts'
import { invalidField } from '../../../errors.ts'
import { problems, runIdParams } from '../../../wire/common.ts'
import { eventSchema, type WireEvent, wireEvent } from '../../../wire/event.ts'
import { resolveGrid } from '../grids/resolve-grid.ts'
import { resolveRun } from '../runs/resolve-run.ts'
import { type EventFilter, eventsAfter } from './event-stream.ts'

const cursor = z.string().regex(/^\d{1,19}$/, 'a decimal number, the id of an event')

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
  after: cursor.default('0').describe('events after this one; 0: from the first'),
  limit: z.coerce.number().int().min(1).max(1000).default(200).describe('of a JSON page'),
}

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  const { reader } = deps
  // Streams end with the server: Fastify's close waits for them otherwise.
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())

  async function answer(request: FastifyRequest, reply: FastifyReply, filter: EventFilter, query: EventQuery): Promise<unknown> {
    if (reply.sse === undefined) return await pageOfEvents(deps, filter, query)
    await streamEvents(deps, request, reply, { filter, after: startOf(reply, query), closing: closing.signal })
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

/** Last-Event-ID, which a browser sends when it connects again, wins over the query that it repeats. */
function startOf(reply: FastifyReply, query: EventQuery): bigint {
  const last = reply.sse.lastEventId
  if (last === null) return BigInt(query.after)
  if (!cursor.safeParse(last).success)
    throw invalidField('Last-Event-ID', 'wrong-type', 'Last-Event-ID must be the id of an event')
  return BigInt(last)
}

interface Stream {
  readonly filter: EventFilter
  readonly after: bigint
  readonly closing: AbortSignal
}

async function streamEvents({ reader }: ApiDeps, request: FastifyRequest, reply: FastifyReply, stream: Stream): Promise<void> {
  const gone = new AbortController()
  reply.sse.onClose(() => gone.abort())
  const signal = AbortSignal.any([gone.signal, stream.closing])
  reply.sse.sendHeaders()
  // Without a first message Node would keep the headers back, and the reader would not know that it is connected.
  reply.raw.flushHeaders()
  try {
    for await (const event of eventsAfter(reader, stream.filter, stream.after, signal)) {
      if (!reply.sse.isConnected) return
      await reply.sse.send(messageOf(wireEvent(event)))
    }
  } catch (error) {
    // The answer has begun, so no problem document can follow; the reader comes back with Last-Event-ID.
    if (!signal.aborted) request.log.error({ err: error }, 'event stream broken off')
  } finally {
    reply.sse.close()
  }
}

function messageOf(event: WireEvent) {
  return { id: event.id, event: event.type, data: event }
}

export default routes
