import { describe, expect, it } from 'vitest'
import type { Grid } from '../client/wire.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import type { WatchDisplay } from '../render/watch-display.ts'
import { exitCodeOf, watchGrid } from './watch.ts'

const GRID: Grid = { id: 'f'.repeat(64), name: 'demo', createdAt: '', points: 1, runs: { running: 1 }, ended: false }
const ENDED: Grid = { ...GRID, runs: { succeeded: 1 }, ended: true }
const AWAY = new CliError('api-unreachable', EXIT.unreachable, 'away')

/** An api that gives one answer after the other to questions about the grid, and a clock that moves with each pause. */
function scripted(answers: readonly (Grid | Error)[]) {
  const asked: string[] = []
  const notes: string[] = []
  const updates: Grid[] = []
  let now = 0
  let next = 0
  const display: WatchDisplay = { update: (grid) => updates.push(grid), note: (text) => notes.push(text), close: () => undefined }
  const deps = {
    display,
    now: () => now,
    pause: async (ms: number) => {
      now += ms
    },
    api: {
      get: async (path: string) => {
        asked.push(path)
        if (path.startsWith('/v1/runs')) return { items: [], nextCursor: null }
        const answer = answers[Math.min(next++, answers.length - 1)]
        if (answer instanceof Error) throw answer
        return answer
      },
    },
  }
  return { deps, asked, notes, updates }
}

describe('watchGrid', () => {
  it('asks until the grid has ended, by its full id once that is known', async () => {
    const { deps, asked, updates } = scripted([GRID, GRID, ENDED])
    expect(await watchGrid('demo', deps)).toEqual(ENDED)
    expect(updates).toHaveLength(3)
    expect(asked.filter((path) => path.startsWith('/v1/grids'))).toEqual([
      '/v1/grids/demo',
      `/v1/grids/${GRID.id}`,
      `/v1/grids/${GRID.id}`,
    ])
  })

  it('survives a restart of the api', async () => {
    const { deps, notes } = scripted([GRID, AWAY, AWAY, ENDED])
    expect(await watchGrid('demo', deps)).toEqual(ENDED)
    expect(notes).toHaveLength(2)
  })

  it('gives up where the api stays away', async () => {
    const { deps, notes } = scripted([GRID, AWAY])
    await expect(watchGrid('demo', deps)).rejects.toBe(AWAY)
    expect(notes.length).toBeGreaterThan(30)
  })

  it('gives up at once where there was no api to begin with', async () => {
    const { deps, notes } = scripted([AWAY])
    await expect(watchGrid('demo', deps)).rejects.toBe(AWAY)
    expect(notes).toEqual([])
  })
})

describe('exitCodeOf', () => {
  it.each([
    [{ succeeded: 2 }, 0],
    [{ succeeded: 1, failed: 1 }, 1],
    [{ succeeded: 1, cancelled: 1 }, 1],
    [{ 'upstream-failed': 1 }, 1],
  ])('of %o is %i', (runs, code) => expect(exitCodeOf({ ...ENDED, runs })).toBe(code))
})
