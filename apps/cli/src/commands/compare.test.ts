import { describe, expect, it } from 'vitest'
import { EXIT } from '../exit-codes.ts'
import { cli } from '../testing/run-cli.ts'

const COMPARISON = {
  first: { id: 'a'.repeat(64), title: 'evaluate linear sex' },
  second: { id: 'b'.repeat(64), title: 'evaluate linear vanilla' },
  images: 40,
  patients: 20,
  resamples: 1000,
  rows: [
    { label: 'macro', metric: 'auroc', difference: 0.0123, low: -0.004, high: 0.03, p: 0.12, delong: null },
    {
      label: 'Hernia',
      metric: 'auroc',
      difference: -0.2,
      low: null,
      high: null,
      p: null,
      delong: { first: 0.7, second: 0.9, p: 0.00001, holm: 0.02 },
    },
  ],
}

describe('cxrlab compare', () => {
  it('shows differences with their sign, intervals and p values', async () => {
    const { code, out } = await cli(['compare', 'aaaaaa', 'bbbbbb'], {
      'GET /v1/compare?first=aaaaaa&second=bbbbbb&resamples=1000': { body: COMPARISON },
    })
    expect(code).toBe(EXIT.ok)
    expect(out).toMatch(/^first +aaaaaaaaaaaa evaluate linear sex$/m)
    expect(out).toMatch(/macro +AUROC +\+0.012 +-0.004 to \+0.030 +0.1200$/m)
    expect(out).toMatch(/Hernia +AUROC +-0.200 +0.700 \/ 0.900 +<0.0001 +0.0200$/m)
  })

  it('refuses a number of resamples that is none', async () => {
    for (const count of ['x', '-1', '10001', '']) {
      const { code, seen } = await cli(['compare', 'aaaaaa', 'bbbbbb', '--resamples', count])
      expect(code).toBe(EXIT.usage)
      expect(seen).toEqual([])
    }
  })
})
