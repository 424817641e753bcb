import { describe, expect, it } from 'vitest'
import { appOnFakes } from '../../../testing/app.ts'

const post = (payload: object) => ({ method: 'POST' as const, url: '/v1/garbage', payload })

describe('POST /v1/garbage', () => {
  it('needs to be told whether it may delete, and by default takes only what is a day old', async () => {
    const { app, lab } = await appOnFakes()
    expect((await app.inject(post({}))).json().errors).toMatchObject([{ path: '/dryRun', code: 'missing-field' }])
    const now = Date.now()
    const dry = await app.inject(post({ dryRun: true }))
    expect(dry.json()).toMatchObject({ dryRun: true, deleted: 0, complete: true })
    const [asked] = lab.collections
    expect(asked).toMatchObject({ dryRun: true, unwanted: false, limit: 10_000 })
    expect((now - (asked?.before.getTime() ?? 0)) / 86_400_000).toBeCloseTo(1, 3)
  })

  it('is in the audit where it may delete, and only there', async () => {
    const { app, lab } = await appOnFakes()
    await app.inject(post({ dryRun: true }))
    await app.inject(post({ dryRun: false, olderThanSeconds: 600, unwanted: true }))
    expect(lab.access.audited).toMatchObject([
      { action: 'artifacts.collect', data: { deleted: 3, olderThanSeconds: 600, unwanted: true, status: 200 } },
    ])
  })

  it('refuses an age within which an upload may go on', async () => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject(post({ dryRun: false, olderThanSeconds: 599 }))
    expect(answer.json().errors).toMatchObject([{ path: '/olderThanSeconds' }])
    expect(lab.collections).toEqual([])
  })

  it('refuses a second collection while one is at work', async () => {
    const { app, lab } = await appOnFakes()
    let finish: () => void = () => undefined
    const begun = new Promise<void>((resolve) => {
      const collect = lab.deps.collectGarbage
      lab.deps.collectGarbage = async (options) => {
        resolve()
        await new Promise<void>((done) => {
          finish = done
        })
        return await collect(options)
      }
    })
    const first = app.inject(post({ dryRun: true }))
    await begun
    expect((await app.inject(post({ dryRun: true }))).json()).toMatchObject({ status: 409, code: 'collection-at-work' })
    finish()
    expect((await first).statusCode).toBe(200)
  })
})
