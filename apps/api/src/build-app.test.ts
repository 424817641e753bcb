import { type AddressInfo, connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { appOnFakes } from './testing/app.ts'

describe('the api as a whole', () => {
  it('describes itself in OpenAPI 3.1: every route, request and answer', async () => {
    const { app } = await appOnFakes()
    const document = (await app.inject('/docs/json')).json()
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths).sort()).toEqual([
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/audit/',
      '/v1/compare/',
      '/v1/datasets/',
      '/v1/datasets/{name}/check',
      '/v1/events',
      '/v1/garbage/',
      '/v1/grids/',
      '/v1/grids/{id}',
      '/v1/grids/{id}/cancel',
      '/v1/grids/{id}/pause',
      '/v1/grids/{id}/points',
      '/v1/grids/{id}/priority',
      '/v1/grids/{id}/results',
      '/v1/grids/{id}/resume',
      '/v1/grids/{id}/retry',
      '/v1/keys/',
      '/v1/keys/{id}',
      '/v1/runs/',
      '/v1/runs/actions',
      '/v1/runs/{id}',
      '/v1/runs/{id}/artifacts',
      '/v1/runs/{id}/artifacts/{*}',
      '/v1/runs/{id}/cancel',
      '/v1/runs/{id}/events',
      '/v1/runs/{id}/metrics',
      '/v1/runs/{id}/metrics/names',
      '/v1/runs/{id}/metrics/series',
      '/v1/runs/{id}/pause',
      '/v1/runs/{id}/priority',
      '/v1/runs/{id}/resume',
      '/v1/runs/{id}/retry',
      '/v1/runs/{id}/why',
      '/v1/weights/',
      '/v1/workers/',
    ])
    expect(document.components.schemas).toMatchObject({ RunDetail: {}, GridSummary: {}, Problem: {} })
    const post = document.paths['/v1/grids/'].post
    expect(post.requestBody.content['application/json'].schema.properties).toHaveProperty('backbone')
    expect(post.responses['422'].content).toHaveProperty('application/problem+json')
    expect(document.components.securitySchemes).toMatchObject({ apiKey: { scheme: 'bearer' } })
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods as object).map((operation) => ({ path, ...operation })),
    )
    for (const { path, security, responses, ...operation } of operations) {
      if (!path.startsWith('/v1/')) expect(security, path).toBeUndefined()
      else {
        expect({ security, role: operation['x-cxrlab-role'] }, path).toEqual({
          security: [{ apiKey: [] }],
          role: expect.any(String),
        })
        expect(Object.keys(responses), path).toEqual(expect.arrayContaining(['401', '403']))
      }
    }
  })

  it('serves documentation that loads nothing from elsewhere', async () => {
    const { app } = await appOnFakes()
    const page = await app.inject('/docs/')
    expect(page.statusCode).toBe(200)
    expect(page.body.match(/(?:src|href)="https?:\/\//g)).toBeNull()
    expect(page.headers['content-security-policy']).toContain("script-src 'self'")
    expect(page.headers['content-security-policy']).not.toContain('http')
  })

  it('answers an unknown route with a problem document', async () => {
    const { app } = await appOnFakes()
    const answer = await app.inject('/v2/grids?secret=x')
    expect(answer.statusCode).toBe(404)
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.json()).toEqual({
      type: 'urn:cxrlab:problem:unknown-route',
      title: 'Not Found',
      status: 404,
      detail: expect.stringContaining('GET /v2/grids'),
      code: 'unknown-route',
      errors: [],
      instance: '/v2/grids',
    })
  })

  it('lives without its database, but is not ready', async () => {
    const { app, lab } = await appOnFakes()
    expect((await app.inject('/readyz')).statusCode).toBe(200)
    lab.breakStore(new Error('connection refused'))
    expect((await app.inject('/healthz')).statusCode).toBe(200)
    const answer = await app.inject('/readyz')
    expect(answer.statusCode).toBe(503)
    expect(answer.json()).toMatchObject({ code: 'not-ready' })
  })

  it('shows the lab and its own requests at /metrics, without any id', async () => {
    const { app } = await appOnFakes()
    await app.inject('/v1/runs/ffffffff')
    const answer = await app.inject('/metrics')
    expect(answer.headers['content-type']).toContain('text/plain')
    expect(answer.body).toContain('cxrlab_runs{kind="evaluate",state="running"} 2')
    expect(answer.body).toContain('cxrlab_queue_age_seconds 7')
    expect(answer.body).toContain('cxrlab_workers{class="cpu"} 1')
    expect(answer.body).toContain('cxrlab_open_attempts{class="cpu",state="running"} 2')
    expect(answer.body).toContain('cxrlab_open_attempts{class="cpu",state="waiting"} 0')
    expect(answer.body).toContain('cxrlab_recent_attempts{ending="lost"} 1')
    expect(answer.body).toContain('cxrlab_checkpoint_age_seconds 90')
    expect(answer.body).toContain('cxrlab_http_request_duration_seconds_count{method="GET",route="/v1/runs/:id",status="404"} 1')
    expect(answer.body).not.toContain('ffffffff')
  })

  it('keeps /metrics up, without stale counts, where the database is away', async () => {
    const { app, lab } = await appOnFakes()
    await app.inject('/metrics')
    lab.breakStore(new Error('connection refused'))
    const answer = await app.inject('/metrics')
    expect(answer.statusCode).toBe(200)
    expect(answer.body).not.toContain('state="running"')
    expect(answer.body).not.toMatch(/^cxrlab_(queue_age|outbox_age|checkpoint_age)_seconds /m)
    expect(answer.body).not.toContain('ending="lost"')
    expect(answer.body).toContain('cxrlab_process_resident_memory_bytes')
  })

  it('refuses a client that asks too often, but never its probes', async () => {
    const { app } = await appOnFakes({ rateLimitPerMinute: 2 })
    const statuses: number[] = []
    for (let i = 0; i < 3; i++) statuses.push((await app.inject('/v1/datasets')).statusCode)
    expect(statuses).toEqual([200, 200, 429])
    expect((await app.inject('/v1/datasets')).json()).toMatchObject({ code: 'too-many-requests' })
    expect((await app.inject('/healthz')).statusCode).toBe(200)
  })

  it.each(['lab.example', 'attacker.example:8080'])('refuses requests under the foreign host name %s', async (host) => {
    const { app } = await appOnFakes()
    const answer = await app.inject({ url: '/v1/datasets', headers: { host } })
    expect(answer.statusCode).toBe(421)
  })

  it.each(['127.0.0.1:8080', 'localhost:8080', '[::1]:8080'])('answers under %s', async (host) => {
    const { app } = await appOnFakes()
    expect((await app.inject({ url: '/v1/datasets', headers: { host } })).statusCode).toBe(200)
  })

  it('lets no page of another site change anything', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/grids/demo/cancel', headers: { 'sec-fetch-site': 'cross-site' } })
    expect(answer.statusCode).toBe(403)
    expect(lab.acted).toEqual([])
  })

  it('closes at once where a client has a connection open and asks nothing', async () => {
    const { app } = await appOnFakes()
    await app.listen({ host: '127.0.0.1', port: 0 })
    const silent = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    await new Promise((resolve) => silent.once('connect', resolve))
    const cut = new Promise((resolve) => silent.once('close', resolve))
    // Without the cut this waits for the client, which never leaves by itself.
    await app.close()
    await cut
  })

  it('answers a request in flight before it closes', async () => {
    const { app, lab } = await appOnFakes()
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
    let answer: (events: []) => void = () => undefined
    const asked = new Promise<void>((resolve) => {
      lab.deps.reader.events = () =>
        new Promise((found) => {
          answer = found
          resolve()
        })
    })
    const response = fetch(`http://127.0.0.1:${port}/v1/events`)
    await asked
    const closed = app.close()
    answer([])
    expect(await (await response).json()).toEqual({ items: [], nextAfter: '0' })
    await closed
  })
})
