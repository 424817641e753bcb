import { describe, expect, it } from 'vitest'
import type { Grid, Run, RunDetail } from '../client/wire.ts'
import { bytes, duration, percent, rate } from './format.ts'
import { createRateMeter } from './rate-meter.ts'
import { renderRows } from './table.ts'
import { countsText, renderRun, renderRuns, renderSubmitted, renderWhy } from './views.ts'
import { endedOf, plainDisplay } from './watch-display.ts'

const NOW = Date.parse('2026-01-01T00:10:00Z')

const runOf = (changes: Partial<Run> = {}): Run => ({
  id: 'a1b2c3d4e5f6a7b8',
  kind: 'pretrain',
  state: 'running',
  title: 'pretrain msn vit-tiny sex seed 24',
  attempts: 1,
  progress: { done: 30, total: 120, unit: 'steps' },
  createdAt: '2026-01-01T00:00:00Z',
  startedAt: '2026-01-01T00:07:55Z',
  endedAt: null,
  message: null,
  ...changes,
})

const gridOf = (runs: Record<string, number>, ended = false): Grid => ({
  id: 'g'.repeat(64),
  name: 'demo',
  createdAt: '2026-01-01T00:00:00Z',
  points: 2,
  runs,
  ended,
})

describe('small texts', () => {
  it.each([
    [7_400, '7s'],
    [200_000, '3m 20s'],
    [7_500_000, '2h 05m'],
    [-5, '0s'],
  ])('%i ms last %s', (ms, text) => expect(duration(ms)).toBe(text))

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [5 * 2 ** 30, '5.0 GiB'],
  ])('%i bytes are %s', (size, text) => expect(bytes(size)).toBe(text))

  it('shows a share rounded down, so that 100% means all, and a rate with three figures', () => {
    expect([percent(999, 1000), percent(1000, 1000), percent(1, 0)]).toEqual(['99%', '100%', ''])
    expect([rate(1234.5), rate(56.78), rate(0.919)]).toEqual(['1235', '56.8', '0.92'])
  })

  it('leaves out states without runs', () => {
    expect(countsText({ queued: 0, running: 2, failed: 1 })).toBe('2 running, 1 failed')
  })
})

describe('tables', () => {
  it('align without a frame or trailing blanks, numbers to the right', () => {
    expect(
      renderRows(
        ['name', 'n'],
        [
          ['a', 5],
          ['longer', 12],
        ],
      ),
    ).toBe('name     n\na        5\nlonger  12')
  })

  it('list runs with their share and time', () => {
    const [, line] = renderRuns([runOf()], NOW).split('\n')
    expect(line).toBe('a1b2c3d4e5f6  running  pretrain msn vit-tiny sex seed 24  25%   2m 05s')
  })
})

describe('views', () => {
  it('tell a dry run from a submission', () => {
    const counts = { new: 1, reused: 2, joined: 0, retried: 0 }
    const grid = {
      gridId: 'f'.repeat(64),
      created: false,
      dryRun: true,
      points: 4,
      byKind: { prepare: counts },
      warnings: ['K > batch'],
    }
    const dry = renderSubmitted(grid, 'demo')
    expect(dry).toContain('warning: K > batch')
    expect(dry).toContain('4 points, nothing was written')
    expect(dry).not.toContain('cxrlab watch')
    expect(renderSubmitted({ ...grid, dryRun: false, created: true }, 'demo')).toContain('cxrlab watch ffffffffffff')
  })

  it('show a run with its attempts, empty facts left out', () => {
    const detail: RunDetail = {
      ...runOf({ state: 'failed', message: 'crashed three times' }),
      dataset: null,
      upstream: [{ id: 'b'.repeat(64), kind: 'prepare', state: 'succeeded' }],
      downstream: 1,
      summary: {},
      attemptList: [
        { number: 1, state: 'ended', ending: 'crashed', message: 'killed', worker: 'w1', startedAt: null, endedAt: null },
      ],
      artifacts: [{ name: 'checkpoint/00000120', sizeBytes: 2048 }],
      grids: [],
    }
    const text = renderRun(detail, NOW)
    expect(text).toContain('failed: crashed three times')
    expect(text).toContain('prepare bbbbbbbbbbbb (succeeded)')
    expect(text).toContain('checkpoint/00000120 (2.0 KiB)')
    expect(text).toMatch(/1 +crashed +w1 +killed/)
    expect(text).not.toContain('data set')
  })

  it('say why', () => {
    const text = renderWhy({
      state: 'blocked',
      sentence: 'waits for its pretraining',
      waitsFor: [{ id: 'c'.repeat(64), kind: 'pretrain', state: 'running', progress: 0.42 }],
      runsAhead: null,
      workersOfClass: null,
      rootCause: null,
    })
    expect(text.split('\n')).toEqual([
      'blocked: waits for its pretraining',
      '  waits for pretrain cccccccccccc (running, 42% done)',
    ])
    const estimated = renderWhy({
      state: 'queued',
      sentence: 'waits',
      waitsFor: [{ id: 'c'.repeat(64), kind: 'pretrain', state: 'running', progress: null, end: { p50: 60, p90: 90 } }],
      runsAhead: 3,
      workersOfClass: 1,
      hold: 'user-limit',
      start: { p50: 720, p90: 7200 },
      rootCause: null,
    })
    expect(estimated.split('\n').slice(1)).toEqual([
      '  waits for pretrain cccccccccccc (running, ends in 1m 00s (p50), 1m 30s (p90))',
      '  runs ahead: 3',
      '  workers that could take it: 1',
      '  held by the scheduler: user-limit',
      '  should start in 12m 00s (p50), 2h 00m (p90)',
    ])
  })
})

describe('rate meter', () => {
  it('measures units a second, smoothed, and starts anew where work starts anew', () => {
    const meter = createRateMeter()
    expect(meter.measure('r', 0, 0)).toBeUndefined()
    expect(meter.measure('r', 10, 1000)).toBeCloseTo(10)
    expect(meter.measure('r', 30, 2000)).toBeCloseTo(0.3 * 20 + 0.7 * 10)
    expect(meter.measure('r', 30, 2500)).toBeCloseTo(13)
    expect(meter.measure('r', 4, 3000)).toBeUndefined()
    expect(meter.measure('other', 1, 3000)).toBeUndefined()
  })
})

describe('watching without a terminal', () => {
  it('prints a line for each change of the counts and each tenth of a run, and none twice', () => {
    const lines: string[] = []
    const display = plainDisplay((line) => lines.push(line))
    display.update(gridOf({ running: 1, blocked: 1 }), [runOf()], 0)
    display.update(gridOf({ running: 1, blocked: 1 }), [runOf({ progress: { done: 31, total: 120, unit: 'steps' } })], 1)
    display.update(gridOf({ running: 1, blocked: 1 }), [runOf({ progress: { done: 40, total: 120, unit: 'steps' } })], 2)
    display.update(gridOf({ succeeded: 2 }, true), [], 3)
    expect(lines).toEqual([
      'demo: 0 of 2 runs ended (1 running, 1 blocked)',
      '  pretrain msn vit-tiny sex seed 24: 30 of 120 steps',
      '  pretrain msn vit-tiny sex seed 24: 40 of 120 steps',
      'demo: 2 of 2 runs ended (2 succeeded)',
    ])
  })

  it('counts what ended and what did not succeed', () => {
    expect(endedOf(gridOf({ succeeded: 3, failed: 1, 'upstream-failed': 2, running: 1 }))).toEqual({
      ended: 6,
      all: 7,
      notSucceeded: 3,
    })
  })
})
