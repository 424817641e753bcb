import { describe, expect, it } from 'vitest'
import { EXIT } from '../exit-codes.ts'
import { cli } from '../testing/run-cli.ts'

const none = { objects: 0, sizeBytes: 0 }
const REPORT = {
  dryRun: true,
  objects: 12,
  sizeBytes: 4096,
  garbage: { 'unknown-run': { objects: 3, sizeBytes: 2048 }, 'unwanted-run': none, unreferenced: none },
  unfinished: { count: 0, sizeBytes: 0 },
  deleted: 0,
  unrecognised: 1,
  doubtfulRuns: [],
  complete: true,
  sample: [],
}
const answers = (body: object) => ({ 'POST /v1/garbage': { body } })

describe('cxrlab gc', () => {
  it('deletes nothing unless told to', async () => {
    const { code, out, seen } = await cli(['gc'], answers(REPORT))
    expect(code).toBe(EXIT.ok)
    expect(seen.map(({ body }) => JSON.parse(body))).toEqual([{ dryRun: true, olderThanSeconds: 86_400, unwanted: false }])
    expect(out).toMatch(/would go +objects +size\nof runs that the lab does not know +3 +2.0 KiB/)
    expect(out).toContain('nothing was deleted')
  })

  it('asks again until all is gone, and ends where a call deletes nothing', async () => {
    const done = { ...REPORT, dryRun: false, deleted: 3 }
    const { out, seen } = await cli(['gc', '--yes', '--older-than', '90m', '--unwanted'], answers(done))
    expect(seen.map(({ body }) => JSON.parse(body))).toEqual([{ dryRun: false, olderThanSeconds: 5400, unwanted: true }])
    expect(out).toContain('went')
    const stuck = await cli(['gc', '--yes'], answers({ ...done, deleted: 0, complete: false }))
    expect(stuck.seen).toHaveLength(1)
  })

  it.each(['9m', '24', 'h', '-1d', '1w'])('refuses the age %s', async (age) => {
    const { code, seen } = await cli(['gc', '--older-than', age])
    expect(code).toBe(EXIT.usage)
    expect(seen).toEqual([])
  })
})
