import type { AddressInfo } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { appOnFakes } from '../../../testing/app.ts'
import { RUN_ID } from '../../../testing/fakes.ts'

describe('events as JSON pages', () => {
  it('gives what comes after a cursor and where to go on', async () => {
    const { app, lab } = await appOnFakes()
    for (const id of [1n, 2n, 3n]) lab.emit({ id, data: { to: 'queued' } })
    const page = (await app.inject('/v1/events?after=1&limit=1')).json()
    expect(page).toMatchObject({ items: [{ id: '2', type: 'run.state', data: { to: 'queued' } }], nextAfter: '2' })
    expect((await app.inject('/v1/events?after=3')).json()).toEqual({ items: [], nextAfter: '3' })
  })

  it('keeps to one run', async () => {
    const { app, lab } = await appOnFakes()
    lab.emit({ id: 1n, runId: 'b'.repeat(64) })
    lab.emit({ id: 2n })
    const { items } = (await app.inject(`/v1/runs/${RUN_ID}/events`)).json()
    expect(items.map(({ id }: { id: string }) => id)).toEqual(['2'])
  })

  it.each(['after=-1', 'after=x', 'after=99999999999999999999', 'limit=0', 'grid=other'])('refuses %s', async (query) => {
    const { app } = await appOnFakes()
    const answer = await app.inject(`/v1/events?${query}`)
    expect(answer.statusCode).toBe(query === 'grid=other' ? 404 : 422)
  })
})

describe('events as a stream', () => {
  async function listening() {
    const made = await appOnFakes()
    await made.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = made.app.server.address() as AddressInfo
    const open = async (path: string, headers: Record<string, string> = {}) => {
      const gone = new AbortController()
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        headers: { accept: 'text/event-stream', ...headers },
        signal: gone.signal,
      })
      return { response, gone, read: idsOf(response.clone()) }
    }
    return { ...made, open }
  }

  it('sends what is stored, then what comes, each with its id', async () => {
    const { lab, open } = await listening()
    lab.emit({ id: 1n })
    const { response, gone, read } = await open(`/v1/runs/${RUN_ID}/events`)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(await read(1)).toEqual(['1'])
    lab.emit({ id: 2n })
    expect(await read(1)).toEqual(['2'])
    gone.abort()
  })

  it('resumes after Last-Event-ID', async () => {
    const { lab, open } = await listening()
    for (const id of [1n, 2n, 3n]) lab.emit({ id })
    const { gone, read } = await open('/v1/events?after=0', { 'last-event-id': '2' })
    expect(await read(1)).toEqual(['3'])
    gone.abort()
  })

  it('stops asking the store when the reader goes away', async () => {
    const { lab, open } = await listening()
    const { gone } = await open('/v1/events')
    await vi.waitFor(() => expect(lab.waiting()).toBe(1))
    gone.abort()
    await vi.waitFor(() => expect(lab.waiting()).toBe(0))
  })

  it('ends when the server stops', async () => {
    const { app, lab, open } = await listening()
    const { response } = await open('/v1/events')
    await vi.waitFor(() => expect(lab.waiting()).toBe(1))
    const ended = response.text()
    await app.close()
    expect(await ended).toBe('')
  })
})

/** Reads the ids of the next messages of a stream. */
function idsOf(response: Response): (count: number) => Promise<string[]> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  return async (count) => {
    while ((text.match(/\n\n/g) ?? []).length < count) {
      const { done, value } = await reader.read()
      if (done) throw new Error('the stream ended')
      text += decoder.decode(value, { stream: true })
    }
    const messages = text.split('\n\n')
    text = messages.slice(count).join('\n\n')
    return messages.slice(0, count).map((message) => /^id: (.*)$/m.exec(message)?.[1] ?? '')
  }
}
