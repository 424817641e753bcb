import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Desired } from '#libs/runs'
import { keepLease, type LeaseKeeper, leaseMarginMs } from './lease-keeper.ts'

describe('keepLease', () => {
  let keeper: LeaseKeeper
  const answers = { held: true, desired: 'run' as Desired, error: undefined as Error | undefined, hangs: false }
  const beat = vi.fn(async () => {
    if (answers.hangs) await new Promise(() => {})
    if (answers.error) throw answers.error
    return { held: answers.held, desired: answers.desired }
  })
  const onLost = vi.fn()
  const onDesired = vi.fn()
  const onError = vi.fn()

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
    vi.clearAllMocks()
    Object.assign(answers, { held: true, desired: 'run', error: undefined, hangs: false })
    keeper = keepLease({ beat, everyMs: 10, leaseMs: 50, leasedAtMs: performance.now(), onLost, onDesired, onError })
  })
  afterEach(() => {
    keeper.stop()
    vi.useRealTimers()
  })

  it('beats at its interval for as long as the lease is held', async () => {
    await vi.advanceTimersByTimeAsync(1000)
    expect(beat).toHaveBeenCalledTimes(100)
    expect(onLost).not.toHaveBeenCalled()
  })

  it('says once that the lease was taken, and beats no more', async () => {
    answers.held = false
    await vi.advanceTimersByTimeAsync(1000)
    expect(onLost.mock.calls).toEqual([['taken']])
    expect(beat).toHaveBeenCalledTimes(1)
  })

  // A lease of 50 counts as held for 45.
  it('loses the lease a margin before its end, counted from the last heartbeat that was confirmed', async () => {
    await vi.advanceTimersByTimeAsync(30)
    answers.error = new Error('database')
    await vi.advanceTimersByTimeAsync(44)
    expect(onLost).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(onLost.mock.calls).toEqual([['expired']])
    expect(onError).toHaveBeenCalledTimes(4)
  })

  it('loses the lease though a heartbeat never answers', async () => {
    answers.hangs = true
    await vi.advanceTimersByTimeAsync(45)
    expect(onLost.mock.calls).toEqual([['expired']])
  })

  it('keeps the lease over an outage that is shorter', async () => {
    answers.error = new Error('database')
    await vi.advanceTimersByTimeAsync(35)
    answers.error = undefined
    await vi.advanceTimersByTimeAsync(500)
    expect(onLost).not.toHaveBeenCalled()
  })

  it('counts from when the lease was asked for, not from when the answer came', async () => {
    keeper.stop()
    answers.hangs = true
    keeper = keepLease({ beat, everyMs: 10, leaseMs: 50, leasedAtMs: performance.now() - 40, onLost, onDesired, onError })
    await vi.advanceTimersByTimeAsync(5)
    expect(onLost.mock.calls).toEqual([['expired']])
  })

  it('sends another heartbeat while one hangs, but no crowd of them', async () => {
    answers.hangs = true
    await vi.advanceTimersByTimeAsync(12)
    answers.hangs = false
    await vi.advanceTimersByTimeAsync(500)
    expect(onLost).not.toHaveBeenCalled()
    answers.hangs = true
    beat.mockClear()
    await vi.advanceTimersByTimeAsync(44)
    expect(beat.mock.calls.length).toBeLessThanOrEqual(2)
  })

  it('looks at once when asked to', async () => {
    answers.desired = 'cancel'
    keeper.beatNow()
    await vi.advanceTimersByTimeAsync(0)
    expect(onDesired).toHaveBeenCalledWith('cancel')
  })

  it('keeps a margin of a tenth, five seconds at most', () => {
    expect([leaseMarginMs(1000), leaseMarginMs(45_000), leaseMarginMs(600_000)]).toEqual([100, 4500, 5000])
  })

  it('passes on what is desired', async () => {
    answers.desired = 'pause'
    await vi.advanceTimersByTimeAsync(10)
    expect(onDesired).toHaveBeenCalledWith('pause')
  })

  it('says nothing after stop', async () => {
    keeper.stop()
    answers.held = false
    await vi.advanceTimersByTimeAsync(1000)
    expect(beat).not.toHaveBeenCalled()
    expect(onLost).not.toHaveBeenCalled()
  })
})
