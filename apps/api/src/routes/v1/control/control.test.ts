import { describe, expect, it } from 'vitest'
import { CONTROL_ACTIONS } from '#libs/runs'
import { appOnFakes } from '../../../testing/app.ts'
import { GRID_ID, RUN_ID, runOf } from '../../../testing/fakes.ts'

const post = (url: string, payload?: object) => ({ method: 'POST' as const, url, ...(payload && { payload }) })
const bodyOf = (action: string) => (action === 'priority' ? { priority: 7 } : undefined)
const CHANGED = { matched: 1, changed: 1, asked: 0, refused: 0, refusals: [] }

describe.each(CONTROL_ACTIONS)('%s', (action) => {
  const asked = action === 'priority' ? { action, priority: 7 } : { action }

  it('is done to one run, by a prefix of its id, and answers with its state', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject(post(`/v1/runs/${RUN_ID.slice(0, 8)}/${action}`, bodyOf(action)))
    expect(answer.json()).toEqual({ id: RUN_ID, state: 'succeeded', ...CHANGED })
    expect(lab.acted).toEqual([{ ...asked, selector: { runId: RUN_ID } }])
  })

  it('is done to a grid as a whole, by its name', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject(post(`/v1/grids/demo/${action}`, bodyOf(action)))
    expect(answer.json()).toEqual({ gridId: GRID_ID, ...CHANGED })
    expect(lab.acted).toEqual([{ ...asked, selector: { gridId: GRID_ID } }])
  })

  it('is done to a selection, and says which runs were refused and why', async () => {
    const { app, lab } = await appOnFakes()
    lab.runs.push(runOf({ id: 'b'.repeat(64), state: 'failed' }))
    const payload = { action, ...bodyOf(action), filter: { grid: 'demo', kind: 'pretrain', state: 'running', runs: [RUN_ID] } }
    const answer = await app.inject(post('/v1/runs/actions', payload))
    expect(answer.json()).toEqual({
      matched: 2,
      changed: 1,
      asked: 0,
      refused: 1,
      refusals: [{ runId: 'b'.repeat(64), state: 'failed', reason: 'wrong-state' }],
    })
    const filter = { gridId: GRID_ID, kind: 'pretrain', state: 'running', runIds: [RUN_ID] }
    expect(lab.acted).toEqual([{ ...asked, selector: { filter } }])
  })

  it.each([`/v1/runs/ffffff/${action}`, `/v1/grids/other/${action}`])('answers 404 for %s', async (url) => {
    const { app, lab } = await appOnFakes()
    expect((await app.inject(post(url, bodyOf(action)))).statusCode).toBe(404)
    expect(lab.acted).toEqual([])
  })
})

describe('POST /v1/runs/actions', () => {
  it('takes every run of the lab only where that is said', async () => {
    const { app, lab } = await appOnFakes()
    const unsaid = await app.inject(post('/v1/runs/actions', { action: 'cancel', filter: {} }))
    expect(unsaid.statusCode).toBe(422)
    expect(unsaid.json().errors).toMatchObject([{ path: '/filter', code: 'filter-empty' }])
    expect(lab.acted).toEqual([])
    expect((await app.inject(post('/v1/runs/actions', { action: 'cancel', filter: {}, all: true }))).statusCode).toBe(200)
    expect(lab.acted).toEqual([{ action: 'cancel', selector: { filter: {} } }])
  })

  it.each([
    ['an unknown action', { action: 'stop', filter: { kind: 'pretrain' } }, '/action'],
    ['an unknown condition', { action: 'cancel', filter: { owner: 'ann' } }, '/filter/owner'],
    ['an unknown state', { action: 'cancel', filter: { state: 'done' } }, '/filter/state'],
    ['a prefix among full ids', { action: 'cancel', filter: { runs: [RUN_ID, 'abcdef'] } }, '/filter/runs/1'],
    ['an empty list', { action: 'cancel', filter: { runs: [] } }, '/filter/runs'],
    ['a priority that is missing', { action: 'priority', filter: { kind: 'pretrain' } }, '/priority'],
    ['a priority that is not asked for', { action: 'pause', priority: 3, filter: { kind: 'pretrain' } }, '/priority'],
    ['a priority out of range', { action: 'priority', priority: 101, filter: { kind: 'pretrain' } }, '/priority'],
    ['no filter', { action: 'cancel' }, '/filter'],
  ])('refuses %s', async (_what, payload, path) => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject(post('/v1/runs/actions', payload))
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors[0].path).toBe(path)
    expect(lab.acted).toEqual([])
  })

  it('answers 404 for a grid that is not there', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject(post('/v1/runs/actions', { action: 'cancel', filter: { grid: 'other' } }))
    expect(answer.json()).toMatchObject({ status: 404, code: 'unknown-grid' })
    expect(lab.acted).toEqual([])
  })
})
