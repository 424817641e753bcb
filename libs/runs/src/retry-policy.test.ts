import { describe, expect, it } from 'vitest'
import { type EndedAttempt, halvedMicroBatch, nextState, RETRY_POLICY } from './retry-policy.ts'

const ended = (over: Partial<EndedAttempt>): EndedAttempt => ({
  ending: 'crashed',
  message: 'it broke',
  times: 1,
  workersLost: 0,
  desired: 'run',
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
    expect(nextState(ended({ ending: 'preempted', times: 1000 }))).toEqual({
      state: 'queued',
      notBeforeMs: 0,
      halveMicroBatch: false,
    })
  })

  it('a crash waits longer each time', () => {
    const waits = [1, 2, 3].map((times) => nextState(ended({ times })))
    expect(waits).toEqual([1000, 2000, 4000].map((notBeforeMs) => ({ state: 'queued', notBeforeMs, halveMicroBatch: false })))
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
    expect(nextState(ended({ ending: 'lost', desired: 'cancel' }))).toEqual({ state: 'cancelled' })
    expect(nextState(ended({ ending: 'succeeded', desired: 'cancel' }))).toEqual({ state: 'succeeded' })
  })

  it.each(['paused', 'preempted', 'lost', 'crashed'] as const)(
    'a wish to pause survives an attempt that ended as %s',
    (ending) => {
      expect(nextState(ended({ ending, desired: 'pause' }))).toEqual({ state: 'paused' })
    },
  )

  it.each(['paused', 'cancelled', 'preempted'] as const)('%s though nobody wants that any more costs nothing', (ending) => {
    expect(nextState(ended({ ending, times: 99 }))).toMatchObject({ state: 'queued', notBeforeMs: 0 })
  })

  it('out of memory asks for half as many images at once, once', () => {
    expect(nextState(ended({ ending: 'out-of-memory' }))).toMatchObject({ state: 'queued', halveMicroBatch: true })
    expect([64, 7, 2, 1].map(halvedMicroBatch)).toEqual([32, 4, 1, null])
  })

  it('a policy of its own has budgets of its own', () => {
    const policy = { budgets: { ...RETRY_POLICY.budgets, crashed: 0 }, poisonWorkers: 99 }
    expect(nextState(ended({}), policy)).toEqual({ state: 'failed', message: 'it broke' })
    expect(nextState(ended({ ending: 'lost', workersLost: 5 }), policy).state).toBe('queued')
  })
})
