import { describe, expect, it } from 'vitest'
import { estimateStart, estimateSum, remaining } from './estimate.ts'
import { chooseVictims, type RunningAttempt } from './preemption.ts'
import { type Numbered, queueNumbers } from './queue-numbers.ts'
import { decay, usageByOwner } from './usage.ts'

describe('usage', () => {
  it('halves with each half-life', () => {
    expect([0, 7, 14].map((days) => decay(days, 7))).toEqual([1, 0.5, 0.25])
    expect(decay(-5, 7)).toBe(1)
  })

  it('sums up by owner, for one class', () => {
    const bucket = { owner: 'a', resourceClass: 'gpu', seconds: 8, ageSeconds: 0 }
    const buckets = [bucket, { ...bucket, ageSeconds: 10 }, { ...bucket, resourceClass: 'cpu' }, { ...bucket, owner: 'b' }]
    expect([...usageByOwner(buckets, 'gpu', 10)]).toEqual([
      ['a', 12],
      ['b', 8],
    ])
  })
})

describe('queue numbers', () => {
  const line = (...numbers: (number | null)[]): Numbered[] =>
    numbers.map((number, i) => ({ attemptId: `x${i}`, priority: 100, number }))
  const numbersOf = (attempts: readonly Numbered[]) => [...queueNumbers(attempts).values()]
  const rises = (numbers: readonly number[]) => numbers.every((number, i) => i === 0 || number > numbers[i - 1]!)

  it('are kept where they rise already, and what is new comes behind', () => {
    expect(numbersOf(line(16, 40, null, null))).toEqual([16, 40, 56, 72])
  })

  it('make room between neighbours, and change the fewest', () => {
    expect(numbersOf(line(16, null, 32))).toEqual([16, 24, 32])
    expect(numbersOf(line(48, 16, 32))).toEqual([8, 16, 32])
  })

  it('are given anew where there is no room', () => {
    expect(numbersOf(line(1, null, 2))).toEqual([16, 32, 48])
    expect(rises(numbersOf(line(9999, null, null)))).toBe(true)
  })

  it('of a higher priority are lower, and all fit into the range of the queue', () => {
    const attempts = [100, 0, -100].map((priority) => ({ attemptId: String(priority), priority, number: null }))
    const numbers = numbersOf(attempts)
    expect(rises(numbers)).toBe(true)
    expect(numbers[0]).toBeGreaterThanOrEqual(1)
    expect(numbers[2]).toBeLessThanOrEqual(2_097_151)
  })

  it('rise for any line, however it was mixed', () => {
    for (let seed = 1; seed < 50; seed++) {
      const mixed = line(...Array.from({ length: 300 }, (_, i) => ((i * seed * 7919) % 13 ? (i * seed * 104_729) % 9999 : null)))
      expect(rises(numbersOf(mixed))).toBe(true)
    }
  })
})

describe('victims', () => {
  const running = (attemptId: string, over: Partial<RunningAttempt>): RunningAttempt => ({
    attemptId,
    runId: attemptId,
    priority: 0,
    heldMs: 1e6,
    sinceCheckpointMs: 1000,
    leaving: false,
    ...over,
  })
  const options = { afterMs: 10, minHeldMs: 60_000, freeSlots: 0 }
  const urgent = { attemptId: 'u', priority: 5, waitedMs: 20 }
  const victimsOf = (over: Partial<typeof options>, ...attempts: RunningAttempt[]) =>
    chooseVictims([urgent], attempts, { ...options, ...over }).map(({ attemptId }) => attemptId)

  it('lose the least work since their checkpoint', () => {
    expect(victimsOf({}, running('a', { sinceCheckpointMs: 900 }), running('b', { sinceCheckpointMs: 30 }))).toEqual(['b'])
  })

  it('are never of the same priority, nor just begun', () => {
    expect(victimsOf({}, running('a', { priority: 5 }), running('b', { heldMs: 59_000 }))).toEqual([])
  })

  it('are not needed where a place is free or will be', () => {
    expect(victimsOf({ freeSlots: 1 }, running('a', {}))).toEqual([])
    expect(victimsOf({}, running('a', {}), running('b', { leaving: true }))).toEqual([])
  })

  it('are asked for once the urgent one has waited', () => {
    expect(victimsOf({ afterMs: 30 }, running('a', {}))).toEqual([])
  })
})

describe('estimates', () => {
  const facts = { slots: 1, running: [], ahead: [], notBefore: [0] }
  it('say now where a slot is free, and never where there is none', () => {
    expect(estimateStart(facts)).toEqual({ p50: 0, p90: 0 })
    expect(estimateStart({ ...facts, slots: 0 })).toBeUndefined()
  })

  it('add up what is ahead, over the workers there are', () => {
    expect(estimateStart({ ...facts, running: [[30]], ahead: [[10], [10]] })).toEqual({ p50: 50, p90: 50 })
    expect(estimateStart({ ...facts, slots: 2, running: [[30], [30]], ahead: [[10], [10]] })).toEqual({ p50: 40, p90: 40 })
  })

  it('are wider where durations are', () => {
    const { p50, p90 } = estimateStart({ ...facts, ahead: [[10, 20, 30, 40, 100]] })!
    expect(p50).toBeCloseTo(30, 0)
    expect(p90).toBeGreaterThan(55)
  })

  it('of long lines cost little and differ little', () => {
    const ahead = Array.from({ length: 5000 }, () => [9, 10, 11])
    expect(estimateStart({ ...facts, slots: 8, ahead })!.p50).toBeGreaterThan(5900)
    expect(estimateStart({ ...facts, slots: 8, ahead })!.p50).toBeLessThan(6600)
  })

  it('wait for an upstream', () => {
    expect(estimateStart({ ...facts, notBefore: [70] })).toEqual({ p50: 70, p90: 70 })
    expect(estimateSum([[10], [20]])).toEqual({ p50: 30, p90: 30 })
  })

  it('of what is left go by the share done, or by like runs', () => {
    expect(remaining(30, 0.75, [1])).toEqual([10])
    expect(remaining(30, null, [20, 50])).toEqual([0, 20])
  })
})
