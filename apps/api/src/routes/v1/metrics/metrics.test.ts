import { describe, expect, it, vi } from 'vitest'
import type { MetricPoint } from '#libs/runs'
import { appOnFakes } from '../../../testing/app.ts'
import { RUN_ID } from '../../../testing/fakes.ts'
import { openStream } from '../../../testing/stream.ts'
import { pointsAfter } from './metric-stream.ts'
import { wholeSteps } from './routes.ts'

const AT = new Date(0)
const point = (step: number, value: number, name = 'loss') => ({ step, name, value, at: AT })

describe('metrics as JSON pages', () => {
  it('are given; a value that is no number is null', async () => {
    const { app, lab } = await appOnFakes()
    lab.metrics.push(point(0, 5), point(1, Number.NaN))
    const { items, nextAfterStep } = (await app.inject(`/v1/runs/${RUN_ID}/metrics?name=loss`)).json()
    expect(items.map(({ value }: { value: number | null }) => value)).toEqual([5, null])
    expect(nextAfterStep).toBeNull()
  })
})

describe('series', () => {
  it('are summed up by buckets, within a range of steps', async () => {
    const { app, lab } = await appOnFakes()
    lab.metrics.push(point(0, 5), point(1, Number.NaN), point(2, 4), point(2, 1, 'accuracy'))
    expect((await app.inject(`/v1/runs/${RUN_ID}/metrics/names`)).json()).toEqual({ items: ['accuracy', 'loss'] })
    const series = await app.inject(`/v1/runs/${RUN_ID}/metrics/series?name=loss&buckets=2&fromStep=1&toStep=9`)
    expect(series.json().items).toEqual([
      { fromStep: 1, toStep: 1, count: 1, min: null, max: null, mean: null },
      { fromStep: 2, toStep: 2, count: 1, min: 4, max: 4, mean: 4 },
    ])
  })

  it.each([
    ['', '?name'],
    ['?name=loss&buckets=0', '?buckets'],
    ['?name=loss&buckets=2001', '?buckets'],
    ['?name=loss&fromStep=5&toStep=4', '?toStep'],
    ['?name=loss&every=5', '?every'],
  ])('refuse %j', async (query, path) => {
    const { app } = await appOnFakes()
    const answer = await app.inject(`/v1/runs/${RUN_ID}/metrics/series${query}`)
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors[0].path).toBe(path)
  })
})

describe('metrics as a stream', () => {
  it('sends what is stored, then what comes, each with its id, attempt and value', async () => {
    const { app, lab } = await appOnFakes()
    lab.metrics.push(point(0, 5))
    const { next, response, gone } = await openStream(app, `/v1/runs/${RUN_ID}/metrics`)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(await next()).toEqual({
      id: '1',
      event: 'metric',
      data: { step: 0, name: 'loss', value: 5, at: AT.toISOString(), attempt: 1 },
    })
    lab.metrics.push(point(1, Number.POSITIVE_INFINITY))
    expect(await next()).toMatchObject({ id: '2', data: { step: 1, value: null } })
    gone.abort()
  })

  it('resumes after Last-Event-ID, and keeps to one name', async () => {
    const { app, lab } = await appOnFakes()
    lab.metrics.push(point(0, 5), point(0, 1, 'accuracy'), point(1, 4), point(1, 2, 'accuracy'))
    const headers = { 'last-event-id': '2' }
    const { next, gone } = await openStream(app, `/v1/runs/${RUN_ID}/metrics?name=accuracy`, headers)
    expect(await next()).toMatchObject({ id: '4', data: { name: 'accuracy', value: 2 } })
    gone.abort()
  })

  it('ends when the server stops', async () => {
    const { app } = await appOnFakes()
    const { response } = await openStream(app, `/v1/runs/${RUN_ID}/metrics`)
    const ended = response.text()
    await app.close()
    expect(await ended).toBe('')
  })

  it('refuses a cursor that is none, and a run that is not there', async () => {
    const { app } = await appOnFakes()
    const headers = { accept: 'text/event-stream', 'last-event-id': 'x' }
    expect((await app.inject({ url: `/v1/runs/${RUN_ID}/metrics`, headers })).statusCode).toBe(422)
    expect((await app.inject({ url: '/v1/runs/ffffff/metrics', headers })).statusCode).toBe(404)
  })
})

describe('pointsAfter', () => {
  it('asks on at once after a full batch, and stops asking when the reader is gone', async () => {
    const stored: MetricPoint[] = Array.from({ length: 2500 }, (_, i) => ({ ...point(i, i), attempt: 1, seq: BigInt(i + 1) }))
    const asked: bigint[] = []
    const reader = {
      pointsAfter: async (_runId: string, { after, limit }: { after: bigint; limit: number }) => {
        asked.push(after)
        return stored.slice(Number(after), Number(after) + limit)
      },
    }
    const gone = new AbortController()
    const seen: bigint[] = []
    // A pause that nobody would wait for: only full batches and the abort end it.
    for await (const { seq } of pointsAfter(reader, RUN_ID, 0n, gone.signal, 3_600_000)) {
      seen.push(seq)
      if (seen.length === stored.length) setImmediate(() => gone.abort())
    }
    expect(seen).toEqual(stored.map(({ seq }) => seq))
    expect(asked).toEqual([0n, 1000n, 2000n])
    await vi.waitFor(() => expect(asked).toHaveLength(3))
  })
})

describe('wholeSteps', () => {
  const points = [0, 0, 1, 1, 2].map((step) => ({ step }))

  it('ends a full page with a whole step', () => {
    expect(wholeSteps(points.slice(0, 3), 3)).toEqual({ items: points.slice(0, 2), nextAfterStep: 0 })
  })

  it('keeps everything of a page that is not full', () => {
    expect(wholeSteps(points, 6)).toEqual({ items: points, nextAfterStep: null })
  })

  it('refuses a limit below the points of one step, rather than to skip some', () => {
    expect(() => wholeSteps(points.slice(0, 2), 2)).toThrow(/raise it/)
  })
})
