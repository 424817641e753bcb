import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { onShutdown } from './shutdown.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function armed() {
  const signals = new EventEmitter()
  const giveUp = vi.fn()
  return { signals, giveUp, stop: onShutdown({ signals, deadlineMs: 5000, giveUp }) }
}

it.each(['SIGTERM', 'SIGINT'])('stops at %s, and gives up at the deadline only', (name) => {
  const { signals, giveUp, stop } = armed()
  expect(stop.aborted).toBe(false)
  signals.emit(name)
  expect(stop.aborted).toBe(true)
  vi.advanceTimersByTime(4999)
  expect(giveUp).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(giveUp).toHaveBeenCalledExactlyOnceWith('it did not stop within 5000 ms')
})

it('gives up at once at a second signal, whichever it is', () => {
  const { signals, giveUp } = armed()
  signals.emit('SIGTERM')
  signals.emit('SIGINT')
  expect(giveUp).toHaveBeenCalledExactlyOnceWith('a second signal came before it had stopped')
})
