import { describe, expect, it } from 'vitest'
import { appOnFakes } from '../../../testing/app.ts'
import { GRID_ID, pointOf } from '../../../testing/fakes.ts'

const REQUEST = {
  name: 'demo',
  preset: 'tiny-cpu',
  dataset: 'nih',
  ehr: ['vanilla', 'sex'],
  evaluations: [{ mode: ['linear-cached'], labels: ['findings', 'view'] }],
}

describe('POST /v1/grids', () => {
  it('makes a grid: 201, its address, what was planned', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/grids', payload: REQUEST, headers: { 'idempotency-key': 'k1' } })
    expect(answer.statusCode).toBe(201)
    expect(answer.headers.location).toBe(`/v1/grids/${GRID_ID}`)
    // 2 pretrainings x 2 label sets; the runs are one prepare, 2 pretrain, 4 evaluate.
    expect(answer.json()).toMatchObject({ gridId: GRID_ID, created: true, dryRun: false, points: 4, runs: { new: 7 } })
    expect(lab.submitted).toHaveLength(1)
    expect(lab.submitted[0]).toMatchObject({ owner: 'local', idempotencyKey: 'k1', dryRun: false })
  })

  it('answers 200 to the same grid again', async () => {
    const { app } = await appOnFakes()
    await app.inject({ method: 'POST', url: '/v1/grids', payload: REQUEST })
    const again = await app.inject({ method: 'POST', url: '/v1/grids', payload: REQUEST })
    expect(again.statusCode).toBe(200)
    expect(again.json()).toMatchObject({ created: false })
  })

  it('hands dryRun on, and gives no address of what does not exist', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/grids?dryRun=true', payload: REQUEST })
    expect(answer.statusCode).toBe(200)
    expect(answer.headers.location).toBeUndefined()
    expect(answer.json()).toMatchObject({ created: false, dryRun: true, points: 4 })
    expect(lab.submitted[0]?.dryRun).toBe(true)
  })

  const evaluations = [{}]
  const mimic = { ...REQUEST, dataset: 'mimic' }
  it.each([
    ['an unknown backbone', { ...REQUEST, backbone: ['resnet-50'] }, 'unknown-value', '/backbone/0'],
    ['an unknown EHR variable', { ...REQUEST, ehr: ['blood-pressure'] }, 'unknown-value', '/ehr/0'],
    ['an unknown data set', { ...REQUEST, dataset: 'padchest' }, 'unknown-dataset', '/dataset'],
    [
      'an unknown evaluation data set',
      { ...REQUEST, evaluations: [{ dataset: 'padchest' }] },
      'unknown-dataset',
      '/evaluations/0/dataset',
    ],
    ['an unknown field', { ...REQUEST, bakbone: ['vit-tiny'] }, 'unknown-field', '/bakbone'],
    ['an unknown field deep inside', overrides({ views: { focalpx: 32 } }), 'unknown-field', '/overrides/pretrain/views/focalpx'],
    ['a wrong type', { ...REQUEST, seed: ['24'] }, 'wrong-type', '/seed/0'],
    ['a missing field', { ...REQUEST, name: undefined }, 'missing-field', '/name'],
    ['position on NIH', { ...REQUEST, ehr: ['position'] }, 'variable-not-in-dataset', '/ehr/0'],
    [
      'a focal size that is no multiple of the patch',
      overrides({ views: { focalPx: 33 } }),
      'focal-not-multiple-of-patch',
      '/overrides/pretrain/views/focalPx',
    ],
    ['a batch of one', overrides({ batch: 1 }), 'batch-too-small', '/overrides/pretrain/batch'],
    ['no prototypes', overrides({ prototypes: { count: 0 } }), 'prototypes-too-few', '/overrides/pretrain/prototypes/count'],
    ['too many points', { ...mimic, seed: Array.from({ length: 60 }, (_, i) => i), evaluations }, 'grid-too-large', undefined],
  ])('refuses %s with code and path, and writes nothing', async (_what, payload, code, path) => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/grids', payload: payload as object })
    expect(answer.statusCode).toBe(422)
    expect(answer.headers['content-type']).toContain('application/problem+json')
    const problem = answer.json<{ errors: { code: string; path: string; message: string }[] }>()
    expect(problem).toMatchObject({
      code: 'grid-invalid',
      status: 422,
      type: 'urn:cxrlab:problem:grid-invalid',
      instance: '/v1/grids',
    })
    const found = problem.errors.find((error) => error.code === code)
    expect(found, JSON.stringify(problem.errors)).toBeDefined()
    if (path !== undefined) expect(found?.path).toBe(path)
    expect(found?.message).not.toBe('')
    expect(lab.submitted).toEqual([])
  })

  it('names all problems at once, and the number of points where there are too many', async () => {
    const { app } = await appOnFakes()
    const two = await app.inject({ method: 'POST', url: '/v1/grids', payload: { ...REQUEST, backbone: ['x'], seed: [-1] } })
    expect(
      two
        .json()
        .errors.map(({ path }: { path: string }) => path)
        .sort(),
    ).toEqual(['/backbone/0', '/seed/0'])
    const seeds = Array.from({ length: 60 }, (_, i) => i)
    const many = await app.inject({ method: 'POST', url: '/v1/grids', payload: { ...mimic, seed: seeds, evaluations } })
    expect(many.body).toContain('120')
  })

  it.each([
    ['text that is no JSON', '{"name":', 'application/json', 400, 'body-not-json'],
    ['no body', '', 'application/json', 400, 'body-missing'],
    ['another media type', 'name: demo', 'application/yaml', 415, 'media-type-unsupported'],
    ['a body over the limit', JSON.stringify({ name: 'x'.repeat(70_000) }), 'application/json', 413, 'body-too-large'],
    ['a list', '[]', 'application/json', 422, 'grid-invalid'],
  ])('refuses %s', async (_what, payload, type, status, code) => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/grids', payload, headers: { 'content-type': type } })
    expect(answer.statusCode).toBe(status)
    expect(answer.json()).toMatchObject({ code, status, errors: expect.any(Array) })
    expect(lab.submitted).toEqual([])
  })

  it('answers 409 where the idempotency key went with another request', async () => {
    const { app, lab } = await appOnFakes()
    lab.refuseSubmit(Object.assign(new Error('the key k1 was used for another request'), { code: 'idempotency-conflict' }))
    const answer = await app.inject({ method: 'POST', url: '/v1/grids', payload: REQUEST, headers: { 'idempotency-key': 'k1' } })
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toMatchObject({ code: 'idempotency-conflict', detail: 'the key k1 was used for another request' })
  })

  it('tells nothing of the inside where the store fails', async () => {
    const { app, lab } = await appOnFakes()
    lab.refuseSubmit(new Error('connection to postgres://lab:hunter2@db failed'))
    const answer = await app.inject({ method: 'POST', url: '/v1/grids', payload: REQUEST })
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toMatchObject({ code: 'internal' })
    expect(answer.body).not.toContain('hunter2')
  })

  it('refuses a query parameter that it does not know', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/grids?dryrun=true', payload: REQUEST })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toEqual([{ path: '?dryrun', code: 'unknown-field', message: expect.any(String) }])
    expect(lab.submitted).toEqual([])
  })
})

describe('reading grids', () => {
  it('lists grids and gives one by id, prefix or name', async () => {
    const { app } = await appOnFakes()
    const list = await app.inject('/v1/grids')
    expect(list.json()).toMatchObject({
      items: [{ id: GRID_ID, name: 'demo', createdAt: '2026-01-02T03:04:05.678Z' }],
      nextCursor: null,
    })
    for (const id of [GRID_ID, GRID_ID.slice(0, 8), 'demo']) {
      expect((await app.inject(`/v1/grids/${id}`)).json()).toMatchObject({ id: GRID_ID, byKind: { evaluate: { succeeded: 1 } } })
    }
  })

  it.each(['', '/points', '/results'])('answers 404 for %s of a grid that is not there', async (part) => {
    const { app } = await appOnFakes()
    const answer = await app.inject(`/v1/grids/other${part}`)
    expect(answer.statusCode).toBe(404)
    expect(answer.json()).toMatchObject({ code: 'unknown-grid' })
  })

  it('gives the ledger', async () => {
    const { app } = await appOnFakes()
    const { items } = (await app.inject('/v1/grids/demo/points')).json()
    expect(items).toEqual([{ point: pointOf(), state: 'succeeded', pretrainState: 'succeeded', message: null }])
  })

  it.each(['limit=0', 'limit=501', 'limit=ten', 'page=2'])('refuses paging with %s', async (query) => {
    const { app } = await appOnFakes()
    const answer = await app.inject(`/v1/grids?${query}`)
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors[0].path).toBe(`?${query.split('=')[0]}`)
  })
})

describe('GET /v1/grids/:id/results', () => {
  async function withResults() {
    const made = await appOnFakes()
    const base = { point: pointOf(), state: 'succeeded' as const, low: 0.6, high: 0.8 }
    made.lab.results.push(
      { ...base, label: 'macro', metric: 'auroc', value: 0.7 },
      { ...base, label: 'Hernia', metric: 'auroc', value: 0.9 },
      { ...base, label: 'macro', metric: 'auprc', value: 0.3, low: null, high: null },
    )
    return made
  }

  it.each([
    ['json', 'application/json', '0.7'],
    ['csv', 'text/csv', '0.7,0.6,0.8'],
    ['latex', 'application/x-latex', '\\begin{tabular}'],
    ['markdown', 'text/markdown', '| .700 (.600-.800) |'],
    ['table', 'text/plain', '.700 (.600-.800)'],
  ])('renders %s', async (format, type, piece) => {
    const { app } = await withResults()
    const answer = await app.inject(`/v1/grids/demo/results?format=${format}`)
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toContain(type)
    expect(answer.body).toContain(piece)
    expect(answer.body).not.toContain('Hernia')
  })

  it('keeps to one metric, and shows labels on demand', async () => {
    const { app } = await withResults()
    const one = await app.inject('/v1/grids/demo/results?format=csv&metric=auroc&labels=true')
    expect(one.body).toContain('Hernia')
    expect(one.body).not.toContain('AUPRC')
  })

  it('refuses a format that it does not know', async () => {
    const { app } = await withResults()
    const answer = await app.inject('/v1/grids/demo/results?format=xlsx')
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors[0]).toMatchObject({ path: '?format', code: 'unknown-value' })
  })
})

function overrides(pretrain: object) {
  return { ...REQUEST, overrides: { pretrain } }
}
