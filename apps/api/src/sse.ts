/** Server-sent events: one way to begin, resume and end a stream, for all routes that have one. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { invalidField } from './errors.ts'

/** Cursors of streams are decimal numbers that rise with every message. */
export const cursorSchema = z.string().regex(/^\d{1,19}$/, 'a decimal number, the id of a message')

export interface StreamMessage {
  readonly id: string
  readonly event: string
  readonly data: unknown
}

/** Last-Event-ID, which a browser sends when it connects again, wins over the query that it repeats. */
export function resumeAfter(reply: FastifyReply, after: string): bigint {
  const last = reply.sse.lastEventId
  if (last === null) return BigInt(after)
  if (!cursorSchema.safeParse(last).success)
    throw invalidField('Last-Event-ID', 'wrong-type', 'Last-Event-ID must be the id of a message of this stream')
  return BigInt(last)
}

/** Sends what `messages` gives until the reader goes away or `closing` is aborted. */
export async function sendStream(
  request: FastifyRequest,
  reply: FastifyReply,
  closing: AbortSignal,
  messages: (signal: AbortSignal) => AsyncIterable<StreamMessage>,
): Promise<void> {
  const gone = new AbortController()
  reply.sse.onClose(() => gone.abort())
  const signal = AbortSignal.any([gone.signal, closing])
  reply.sse.sendHeaders()
  // Without a first message Node would keep the headers back, and the reader would not know that it is connected.
  reply.raw.flushHeaders()
  try {
    for await (const message of messages(signal)) {
      if (!reply.sse.isConnected) return
      await reply.sse.send(message)
    }
  } catch (error) {
    // The answer has begun, so no problem document can follow; the reader comes back with Last-Event-ID.
    if (!signal.aborted) request.log.error({ err: error }, 'event stream broken off')
  } finally {
    reply.sse.close()
  }
}
