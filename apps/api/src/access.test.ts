/** Access control over all routes: who may ask what, and what is noted of it. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { API_ROLES, newApiKey, roleAllows } from '#libs/runs'
import { createLogger } from '#libs/telemetry'
import { buildApp } from './build-app.ts'
import { appOnFakes } from './testing/app.ts'
import { fakeLab, RUN_ID, TEST_OPTIONS } from './testing/fakes.ts'

const keyed = { auth: 'keys' } as const
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly url: string
  readonly role: string | undefined
  readonly action: string | undefined
}

/** Every route of the app, as it was registered. */
async function allRoutes(): Promise<readonly Route[]> {
  const app = await buildApp(fakeLab().deps, { ...TEST_OPTIONS, ...keyed })
  const registered = [...app.registeredRoutes]
  await app.close()
  return registered
    .filter(({ method }) => String(method) !== 'HEAD')
    .map(({ method, url, config }) => ({
      method: String(method) as Route['method'],
      url: url.replaceAll(':id', RUN_ID).replace('*', 'x'),
      role: config?.role,
      action: config?.action,
    }))
}

const routes = await allRoutes()
const guarded = routes.filter(({ role }) => role !== 'open')

describe('every route', () => {
  it('says which role may ask, and open are only probes, metrics and documentation', () => {
    expect(routes.filter(({ role }) => role === undefined)).toEqual([])
    const open = routes.filter(({ role }) => role === 'open').map(({ url }) => url)
    expect(open.filter((url) => !/^\/(healthz|readyz|metrics|docs)(\/|$)/.test(url))).toEqual([])
    expect(guarded.length).toBeGreaterThan(25)
  })

  it.each(guarded.map((route) => [`${route.method} ${route.url}`, route] as const))(
    '%s is refused without a key, with an unknown key, and with every role below its own',
    async (_name, { method, url, role }) => {
      const { app, lab } = await appOnFakes(keyed)
      for (const headers of [{}, bearer(newApiKey()), bearer('cxrlab_short'), { authorization: 'Basic eDp5' }]) {
        const answer = await app.inject({ method, url, headers })
        expect(answer.statusCode).toBe(401)
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
        expect(answer.json()).toMatchObject({ code: 'key-refused' })
      }
      for (const has of API_ROLES) {
        const answer = await app.inject({ method, url, headers: bearer(lab.access.keyFor(has)) })
        if (roleAllows(has, role as 'read')) expect([401, 403]).not.toContain(answer.statusCode)
        else expect(answer.json()).toMatchObject({ status: 403, code: 'role-insufficient' })
      }
    },
  )

  it('that is open asks no database who it is', async () => {
    const { app, lab } = await appOnFakes(keyed)
    lab.access.keys.findByHash = async () => Promise.reject(new Error('connection refused'))
    const headers = bearer(newApiKey())
    expect((await app.inject({ url: '/healthz', headers })).statusCode).toBe(200)
    const guardedAnswer = await app.inject({ url: '/v1/runs', headers })
    expect(guardedAnswer.json()).toMatchObject({ status: 500, code: 'internal' })
  })

  it('stops the start where it says no role, or changes something without a name', async () => {
    for (const config of [undefined, { role: 'read' as const }]) {
      const app = await buildApp(fakeLab().deps, TEST_OPTIONS)
      onTestFinished(async () => await app.close())
      app.post('/v1/forgotten', { ...(config && { config }) }, async () => ({}))
      await expect(app.ready()).rejects.toThrow(/POST \/v1\/forgotten (does not say which role|has no audit action)/)
    }
  })
})

describe('API keys', () => {
  it('are refused from the moment they are revoked, and their use is noted once a minute', async () => {
    const { app, lab } = await appOnFakes(keyed)
    const headers = bearer(lab.access.keyFor('read'))
    for (let i = 0; i < 3; i++) expect((await app.inject({ url: '/v1/runs', headers })).statusCode).toBe(200)
    expect(lab.access.touched).toEqual(['key-1'])
    const admin = bearer(lab.access.keyFor('admin'))
    expect((await app.inject({ method: 'DELETE', url: '/v1/keys/key-1', headers: admin })).statusCode).toBe(204)
    expect((await app.inject({ url: '/v1/runs', headers })).statusCode).toBe(401)
    expect((await app.inject({ method: 'DELETE', url: '/v1/keys/key-1', headers: admin })).statusCode).toBe(404)
  })

  it('are made by an admin, shown once, and stored as a hash', async () => {
    const { app, lab } = await appOnFakes(keyed)
    const headers = bearer(lab.access.keyFor('admin'))
    const payload = { name: 'laptop', owner: 'bob', role: 'read' }
    const made = await app.inject({ method: 'POST', url: '/v1/keys', headers, payload })
    expect(made.statusCode).toBe(201)
    expect(made.headers['cache-control']).toBe('no-store')
    const { key } = made.json()
    expect((await app.inject({ url: '/v1/runs', headers: bearer(key) })).statusCode).toBe(200)
    expect(JSON.stringify(lab.access.stored)).not.toContain(key)
    const list = await app.inject({ url: '/v1/keys?limit=1', headers })
    expect(list.json()).toMatchObject({ items: [{ id: 'key-1' }], nextCursor: 'key-1' })
    const rest = await app.inject({ url: '/v1/keys?cursor=key-1', headers })
    expect(rest.json()).toMatchObject({ items: [{ ...payload, lastUsedAt: null, revokedAt: null }], nextCursor: null })
    expect(list.body + rest.body).not.toMatch(/hash|cxrlab_/)
    expect((await app.inject({ url: '/v1/keys?cursor=other', headers })).json()).toMatchObject({ code: 'cursor-invalid' })
  })

  it.each([
    ['a role that is none', { name: 'a', owner: 'b', role: 'root' }, '/role'],
    ['a name with a line break', { name: 'a\nb', owner: 'b', role: 'read' }, '/name'],
    ['an empty owner', { name: 'a', owner: '', role: 'read' }, '/owner'],
    ["a key of one's own", { name: 'a', owner: 'b', role: 'read', key: 'cxrlab_mine' }, '/key'],
  ])('are not made with %s', async (_what, payload, path) => {
    const { app, lab } = await appOnFakes(keyed)
    const headers = bearer(lab.access.keyFor('admin'))
    const answer = await app.inject({ method: 'POST', url: '/v1/keys', headers, payload })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toMatchObject([{ path }])
    expect(lab.access.stored).toHaveLength(1)
  })

  it('are not made twice under one idempotency key', async () => {
    const { app, lab } = await appOnFakes(keyed)
    const headers = { ...bearer(lab.access.keyFor('admin')), 'idempotency-key': 'k1' }
    const make = (owner: string) =>
      app.inject({ method: 'POST', url: '/v1/keys', headers, payload: { name: 'laptop', owner, role: 'read' } })
    expect((await make('bob')).statusCode).toBe(201)
    expect((await make('bob')).json()).toMatchObject({ status: 409, code: 'idempotency-conflict' })
    expect((await make('eve')).statusCode).toBe(201)
    expect(lab.access.stored).toHaveLength(3)
  })

  it('own the grids that are submitted with them', async () => {
    const { app, lab } = await appOnFakes(keyed)
    const payload = {
      name: 'demo',
      preset: 'tiny-cpu',
      dataset: 'nih',
      ehr: ['sex'],
      evaluations: [{ mode: ['linear-cached'], labels: ['view'] }],
    }
    const headers = bearer(lab.access.keyFor('submit', 'carol'))
    expect((await app.inject({ method: 'POST', url: '/v1/grids', payload, headers })).statusCode).toBe(201)
    expect(lab.submitted[0]).toMatchObject({ owner: 'carol' })
  })

  it('each have a rate limit of their own', async () => {
    const { app, lab } = await appOnFakes({ ...keyed, rateLimitPerMinute: 2 })
    const [ann, bob] = [bearer(lab.access.keyFor('read')), bearer(lab.access.keyFor('read'))]
    const statuses: number[] = []
    for (const headers of [ann, ann, ann, bob, {}, {}, {}]) {
      statuses.push((await app.inject({ url: '/v1/datasets', headers })).statusCode)
    }
    expect(statuses).toEqual([200, 200, 429, 200, 401, 401, 429])
  })

  it('never reach the log', async () => {
    const lines: string[] = []
    const destination = { write: (line: string) => void lines.push(line) }
    const lab = fakeLab()
    const logger = createLogger({ service: 'api', level: 'trace', destination })
    const app = await buildApp({ ...lab.deps, logger }, { ...TEST_OPTIONS, ...keyed })
    onTestFinished(async () => await app.close())
    const [good, bad] = [lab.access.keyFor('admin'), newApiKey()]
    const payload = { name: 'n', owner: 'o', role: 'read' }
    const made = await app.inject({ method: 'POST', url: '/v1/keys', headers: bearer(good), payload })
    await app.inject({ url: `/v1/runs/${good}?key=${bad}`, headers: bearer(bad) })
    lab.breakStore(new Error(`cannot serve ${good}`))
    await app.inject({ url: '/v1/runs', headers: bearer(good) })
    expect(lines.length).toBeGreaterThan(5)
    for (const key of [good, bad, made.json().key]) expect(lines.join('')).not.toContain(key)
  })
})

describe('the audit', () => {
  it('notes every change and every refused one: who, what, about what, and how it ended; nothing that was only read', async () => {
    const { app, lab } = await appOnFakes(keyed)
    const submit = bearer(lab.access.keyFor('submit'))
    const read = bearer(lab.access.keyFor('read', 'bob'))
    await app.inject({ url: '/v1/runs', headers: read })
    await app.inject({ method: 'POST', url: `/v1/runs/${RUN_ID.slice(0, 8)}/cancel`, headers: submit })
    await app.inject({ method: 'POST', url: '/v1/runs/ffffff/cancel', headers: submit })
    await app.inject({ method: 'POST', url: '/v1/grids/demo/pause', headers: read })
    await app.inject({ method: 'POST', url: '/v1/grids/demo/pause' })
    const counts = { matched: 1, changed: 1, asked: 0, refused: 0 }
    expect(lab.access.audited.map(({ actor, action, subject, data }) => ({ actor, action, subject, data }))).toEqual([
      { actor: 'ann/submit-key', action: 'run.cancel', subject: RUN_ID, data: { ...counts, status: 200 } },
      { actor: 'ann/submit-key', action: 'run.cancel', subject: 'ffffff', data: { status: 404, problem: 'unknown-run' } },
      { actor: 'bob/read-key', action: 'grid.pause', subject: 'demo', data: { status: 403, problem: 'role-insufficient' } },
    ])
  })

  it('is read by admins, newest first, by filters and pages', async () => {
    const { app, lab } = await appOnFakes()
    for (const run of ['cancel', 'retry', 'cancel']) await app.inject({ method: 'POST', url: `/v1/runs/${RUN_ID}/${run}` })
    const page = (await app.inject('/v1/audit?action=run.cancel&limit=1')).json()
    expect(page).toMatchObject({ items: [{ id: '3', actor: 'local', action: 'run.cancel', subject: RUN_ID }], nextCursor: '1' })
    expect((await app.inject('/v1/audit?actor=other')).json().items).toEqual([])
    expect((await app.inject('/v1/audit?who=ann')).statusCode).toBe(422)
    expect(lab.access.audited).toHaveLength(3)
  })

  it('goes to the log where it cannot be stored; the change stands', async () => {
    const lines: string[] = []
    const lab = fakeLab()
    const logger = createLogger({
      service: 'api',
      level: 'error',
      destination: { write: (line: string) => void lines.push(line) },
    })
    const audit = { ...lab.deps.audit, record: async () => Promise.reject(new Error('disk full')) }
    const app = await buildApp({ ...lab.deps, logger, audit }, TEST_OPTIONS)
    onTestFinished(async () => await app.close())
    const answer = await app.inject({ method: 'POST', url: `/v1/runs/${RUN_ID}/cancel` })
    expect(answer.statusCode).toBe(200)
    expect(JSON.parse(lines.join(''))).toMatchObject({ audit: { actor: 'local', action: 'run.cancel', subject: RUN_ID } })
  })
})
