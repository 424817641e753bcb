/** Reads server-sent events of an app that listens. */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

export interface OpenStream {
  readonly response: Response
  readonly gone: AbortController
  /** The next message; heartbeats are left out. */
  next(): Promise<{ readonly id: string; readonly event: string; readonly data: unknown }>
}

/** `response` can still be read by itself as long as `next` was not called. */
export async function openStream(app: FastifyInstance, path: string, headers: Record<string, string> = {}): Promise<OpenStream> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const gone = new AbortController()
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: gone.signal,
  })
  let messages: AsyncGenerator<string> | undefined
  return {
    response,
    gone,
    async next() {
      messages ??= messagesOf(response.clone())
      for (;;) {
        const { done, value } = await messages.next()
        if (done) throw new Error('the stream ended')
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(value)?.[1]
        const data = field('data')
        if (data !== undefined) return { id: field('id') ?? '', event: field('event') ?? '', data: JSON.parse(data) }
      }
    },
  }
}

async function* messagesOf(response: Response): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body as ReadableStream<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    const messages = text.split('\n\n')
    text = messages.pop() ?? ''
    yield* messages
  }
  return undefined
}
