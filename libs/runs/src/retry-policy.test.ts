import { describe, expect, it } from 'vitest'
import { type EndedAttempt, nextState } from './retry-policy.ts'

const ended = (over: Partial<EndedAttempt>): EndedAttempt => ({
  ending: 'crashed',
  message: 'it broke',
  times: 1,
  workersLost: 0,
  cancelWanted: false,
  ...over,
})

describe('after an attempt', () => {
  it.each([
    { ending: 'lost', budget: 5 },
    { ending: 'crashed', budget: 3 },
    { ending: 'out-of-memory', budget: 1 },
    { ending: 'non-finite', budget: 0 },
    { ending: 'spec-error', budget: 0 },
  ] as const)('$ending is tried again $budget times, then the run fails', ({ ending, budget }) => {
    const states = Array.from({ length: budget + 2 }, (_, i) => nextState(ended({ ending, times: i + 1 })).state)
    expect(states).toEqual([...Array(budget).fill('queued'), 'failed', 'failed'])
  })

  it('preempted costs nothing, however often, and waits for nothing', () => {
    expect(nextState(ended({ ending: 'preempted', times: 1000 }))).toEqual({ state: 'queued', notBeforeMs: 0 })
  })

  it('a crash waits longer each time', () => {
    const waits = [1, 2, 3].map((times) => nextState(ended({ times })))
    expect(waits).toEqual([1000, 2000, 4000].map((notBeforeMs) => ({ state: 'queued', notBeforeMs })))
  })

  it('a spec error fails with its own words', () => {
    expect(nextState(ended({ ending: 'spec-error' }))).toEqual({ state: 'failed', message: 'it broke' })
  })

  it('a run that three workers were lost over is poison, though its budget would allow more', () => {
    const states = [1, 2, 3].map((times) => nextState(ended({ ending: 'lost', times, workersLost: times })))
    expect(states.map(({ state }) => state)).toEqual(['queued', 'queued', 'failed'])
    expect(states[2]).toMatchObject({ message: 'poison: 3 workers were lost while they computed it' })
    expect(nextState(ended({ ending: 'crashed', workersLost: 3 })).state).toBe('queued')
  })

  it('a run that somebody wants cancelled is not tried again', () => {
    expect(nextState(ended({ ending: 'lost', cancelWanted: true }))).toEqual({ state: 'cancelled' })
    expect(nextState(ended({ ending: 'succeeded', cancelWanted: true }))).toEqual({ state: 'succeeded' })
  })
})
