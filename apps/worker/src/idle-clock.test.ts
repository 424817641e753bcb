import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { startIdleClock } from './idle-clock.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

it('tells once that nothing came', () => {
  const onIdle = vi.fn()
  startIdleClock(1000, onIdle)
  vi.advanceTimersByTime(999)
  expect(onIdle).not.toHaveBeenCalled()
  vi.advanceTimersByTime(5000)
  expect(onIdle).toHaveBeenCalledTimes(1)
})

it('waits for the last attempt in hand, and counts from its end', () => {
  const onIdle = vi.fn()
  const clock = startIdleClock(1000, onIdle)
  clock.begin()
  clock.begin()
  vi.advanceTimersByTime(10_000)
  clock.end()
  vi.advanceTimersByTime(10_000)
  expect(onIdle).not.toHaveBeenCalled()
  clock.end()
  vi.advanceTimersByTime(1000)
  expect(onIdle).toHaveBeenCalledTimes(1)
})

it('tells nothing after stop', () => {
  const onIdle = vi.fn()
  startIdleClock(1000, onIdle).stop()
  vi.advanceTimersByTime(10_000)
  expect(onIdle).not.toHaveBeenCalled()
})
