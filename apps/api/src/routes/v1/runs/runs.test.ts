import { describe, expect, it } from 'vitest'
import { appOnFakes } from '../../../testing/app.ts'
import { RUN_ID, runOf } from '../../../testing/fakes.ts'

describe('runs', () => {
  it('lists by state and pages by cursor', async () => {
    const { app, lab } = await appOnFakes()
    for (const digit of ['b', 'c']) lab.runs.push(runOf({ id: digit.repeat(64), state: 'failed' }))
    const first = (await app.inject('/v1/runs?state=failed&limit=1')).json()
    expect(first.items.map(({ id }: { id: string }) => id)).toEqual(['b'.repeat(64)])
    const second = (await app.inject(`/v1/runs?state=failed&limit=1&cursor=${first.nextCursor}`)).json()
    expect(second).toMatchObject({ items: [{ id: 'c'.repeat(64) }], nextCursor: null })
  })

  it('gives one run by a prefix of its id, with the full id', async () => {
    const { app } = await appOnFakes()
    const run = (await app.inject(`/v1/runs/${RUN_ID.slice(0, 6)}`)).json()
    expect(run).toMatchObject({ id: RUN_ID, spec: { kind: 'prepare' }, attemptList: [{ ending: 'succeeded' }], endedAt: null })
  })

  it.each([
    ['an unknown state', '/v1/runs?state=done', 422],
    ['an unknown grid', '/v1/runs?grid=other', 404],
    ['an id that is no id', '/v1/runs/not-hex', 422],
    ['a prefix that is too short', '/v1/runs/a1b2c', 422],
    ['an unknown run', '/v1/runs/ffffff', 404],
    ['metrics of an unknown run', '/v1/runs/ffffff/metrics', 404],
    ['artifacts of an unknown run', '/v1/runs/ffffff/artifacts', 404],
    ['events of an unknown run', '/v1/runs/ffffff/events', 404],
    ['the reason of an unknown run', '/v1/runs/ffffff/why', 404],
  ])('refuses %s', async (_what, url, status) => {
    const { app } = await appOnFakes()
    const answer = await app.inject(url)
    expect(answer.statusCode).toBe(status)
    expect(answer.headers['content-type']).toContain('application/problem+json')
  })

  it('says why', async () => {
    const { app } = await appOnFakes()
    expect((await app.inject(`/v1/runs/${RUN_ID}/why`)).json()).toMatchObject({ sentence: 'waits for a worker', runsAhead: 2 })
  })
})

describe('artifacts', () => {
  it('lists what the run recorded and what lies in the store', async () => {
    const { app } = await appOnFakes()
    expect((await app.inject(`/v1/runs/${RUN_ID}/artifacts`)).json()).toEqual({
      artifacts: [{ name: 'pack/index', sha256: 'f'.repeat(64), sizeBytes: 5 }],
      files: [{ path: 'pack/index.json', sizeBytes: 7 }],
    })
  })

  it('streams a file with its size', async () => {
    const { app } = await appOnFakes()
    const answer = await app.inject(`/v1/runs/${RUN_ID}/artifacts/pack/index.json`)
    expect(answer.statusCode).toBe(200)
    expect(answer.headers).toMatchObject({ 'content-length': '7', 'content-type': 'application/json' })
    expect(answer.body).toBe('{"a":1}')
  })

  it('sends the reader to the store where it gives addresses, unless asked for the bytes', async () => {
    const url = `/v1/runs/${RUN_ID}/artifacts/pack/index.json`
    const { app, lab } = await appOnFakes()
    lab.presigned.set(`runs/${RUN_ID}/pack/index.json`, 'https://store.example/x?X-Amz-Signature=s')
    const sent = await app.inject(url)
    expect(sent.statusCode).toBe(302)
    expect(sent.headers).toMatchObject({ location: 'https://store.example/x?X-Amz-Signature=s', 'cache-control': 'no-store' })
    expect((await app.inject(`${url}?stream=true`)).body).toBe('{"a":1}')
    expect((await app.inject({ method: 'HEAD', url })).headers).toMatchObject({ 'content-length': '7' })
    const streaming = await appOnFakes({ artifactDownloads: 'streamed' })
    streaming.lab.presigned.set(`runs/${RUN_ID}/pack/index.json`, 'https://store.example/x')
    expect((await streaming.app.inject(url)).body).toBe('{"a":1}')
  })

  it.each(['pack/other', '..%2f..%2fsecret', 'pack/../../x', '.hidden', 'a//b'])('answers 404 for %s', async (path) => {
    const { app } = await appOnFakes()
    const answer = await app.inject(`/v1/runs/${RUN_ID}/artifacts/${path}`)
    expect(answer.statusCode).toBe(404)
  })
})
