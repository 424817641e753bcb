import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger } from '#libs/telemetry'
import { stopOnSignals } from './signals.ts'

class FakeProcess extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
}

function setUp() {
  const { promise, resolve, reject } = withResolvers()
  const worker = { stop: vi.fn(() => promise), kill: vi.fn() }
  const process = new FakeProcess()
  stopOnSignals(worker, process, 1000, createLogger({ service: 'test', level: 'silent' }))
  return { worker, process, stopped: resolve, failed: reject }
}

function withResolvers() {
  let resolve = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve: () => resolve(), reject: (error: Error) => reject(error) }
}

describe('stopOnSignals', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('exits with 0 after the worker stopped in order', async () => {
    const { worker, process, stopped } = setUp()
    process.emit('SIGTERM', 'SIGTERM')
    expect(worker.stop).toHaveBeenCalledOnce()
    expect(process.exits).toEqual([])
    stopped()
    await vi.runAllTimersAsync()
    expect(process.exits).toEqual([0])
    expect(worker.kill).not.toHaveBeenCalled()
  })

  it('kills the children at a second signal', () => {
    const { worker, process } = setUp()
    process.emit('SIGINT', 'SIGINT')
    process.emit('SIGTERM', 'SIGTERM')
    expect(worker.stop).toHaveBeenCalledOnce()
    expect(worker.kill).toHaveBeenCalledOnce()
    expect(process.exits).toEqual([1])
  })

  it('kills the children when the grace period is over, not before', async () => {
    const { worker, process } = setUp()
    process.emit('SIGTERM', 'SIGTERM')
    await vi.advanceTimersByTimeAsync(999)
    expect(worker.kill).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(worker.kill).toHaveBeenCalledOnce()
    expect(process.exits).toEqual([1])
  })

  it('exits with 1 where the stop failed', async () => {
    const { worker, process, failed } = setUp()
    process.emit('SIGTERM', 'SIGTERM')
    failed(new Error('database'))
    await vi.runAllTimersAsync()
    expect(worker.kill).toHaveBeenCalledOnce()
    expect(process.exits).toEqual([1])
  })
})
