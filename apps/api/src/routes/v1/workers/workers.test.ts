import { describe, expect, it } from 'vitest'
import { appOnFakes } from '../../../testing/app.ts'
import { RUN_ID } from '../../../testing/fakes.ts'

const AT = new Date('2026-01-02T03:04:05.678Z')
const workerOf = (id: string) => ({
  id,
  hostname: 'node-1',
  resourceClass: 'gpu',
  engine: 'tensorflow',
  version: '1',
  slots: 1,
  alive: true,
  draining: null,
  firstSeenAt: AT,
  lastSeenAt: AT,
  attempts: [{ attemptId: 'a1', runId: RUN_ID, title: 'pretrain msn', leasedAt: AT }],
})

describe('GET /v1/workers', () => {
  it('lists workers with what they work on, by pages', async () => {
    const { app, lab } = await appOnFakes()
    lab.workers.push(workerOf('w1'), workerOf('w2'))
    const first = (await app.inject('/v1/workers?limit=1')).json()
    expect(first).toEqual({
      items: [
        {
          ...workerOf('w1'),
          firstSeenAt: AT.toISOString(),
          lastSeenAt: AT.toISOString(),
          attempts: [{ attemptId: 'a1', runId: RUN_ID, title: 'pretrain msn', leasedAt: AT.toISOString() }],
        },
      ],
      nextCursor: 'w1',
    })
    const second = (await app.inject('/v1/workers?limit=1&cursor=w1')).json()
    expect(second).toMatchObject({ items: [{ id: 'w2' }], nextCursor: null })
    expect((await app.inject('/v1/workers?cursor=w3')).json()).toMatchObject({ code: 'cursor-invalid' })
  })
})
