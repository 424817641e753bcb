import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger } from '#libs/telemetry'
import { type Point, Reporter } from './reporter.ts'

const points = (from: number, count: number): Point[] =>
  Array.from({ length: count }, (_, i) => ({ step: from + i, name: 'loss', value: 1 }))

describe('Reporter', () => {
  const state = { failing: 0, refuse: false }
  const written: number[] = []
  const progressed: number[] = []
  const onRefused = vi.fn()
  const onDropped = vi.fn()
  const fail = () => {
    if (state.failing > 0) {
      state.failing -= 1
      throw new Error('database')
    }
  }
  const store = {
    async recordMetrics(_ref: unknown, batch: readonly Point[]) {
      fail()
      if (!state.refuse) written.push(...batch.map(({ step }) => step))
      return !state.refuse
    },
    async recordProgress(_ref: unknown, done: number) {
      fail()
      progressed.push(done)
      return true
    },
  }
  const make = (bufferPoints?: number) =>
    new Reporter({
      store,
      ref: { attemptId: 'a1', fencingToken: 1 },
      logger: createLogger({ service: 'test', level: 'silent' }),
      onRefused,
      onDropped,
      ...(bufferPoints === undefined ? {} : { bufferPoints }),
    })
  const live = new AbortController().signal

  beforeEach(() => {
    vi.useFakeTimers()
    Object.assign(state, { failing: 0, refuse: false })
    written.length = 0
    progressed.length = 0
    onRefused.mockClear()
    onDropped.mockClear()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('writes what came within half a second in one go, and the newest progress alone', async () => {
    const reporter = make()
    reporter.open()
    reporter.record(points(0, 2))
    reporter.record(points(2, 2))
    reporter.progress(1, 9, 'images')
    reporter.progress(5, 9, 'images')
    await vi.advanceTimersByTimeAsync(499)
    expect(written).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(written).toEqual([0, 1, 2, 3])
    expect(progressed).toEqual([5])
    await reporter.close(live)
    expect(progressed).toEqual([5])
  })

  it('keeps points while the database is away', async () => {
    const reporter = make()
    reporter.open()
    state.failing = 3
    reporter.record(points(0, 2))
    await vi.advanceTimersByTimeAsync(1500)
    expect(written).toEqual([])
    reporter.record(points(2, 1))
    await vi.advanceTimersByTimeAsync(500)
    expect(written).toEqual([0, 1, 2])
    await reporter.close(live)
  })

  it('drops the oldest points above its bound, and says how many', async () => {
    const reporter = make(3)
    reporter.open()
    reporter.record(points(0, 2))
    reporter.record(points(2, 3))
    await reporter.close(live)
    expect(written).toEqual([2, 3, 4])
    expect(onDropped.mock.calls).toEqual([[2]])
  })

  it('writes the rest at close, with retries', async () => {
    const reporter = make()
    reporter.open()
    state.failing = 2
    reporter.record(points(0, 12_000))
    const closed = reporter.close(live)
    await vi.advanceTimersByTimeAsync(10_000)
    await closed
    expect(written).toHaveLength(12_000)
  })

  it('gives up at close when the lease is lost', async () => {
    const reporter = make()
    reporter.open()
    state.failing = Number.POSITIVE_INFINITY
    reporter.record(points(0, 1))
    const lost = new AbortController()
    const closed = reporter.close(lost.signal).catch((error: Error) => error.message)
    await vi.advanceTimersByTimeAsync(100)
    lost.abort(new Error('lost'))
    expect(await closed).toBe('lost')
  })

  it('says once that a write was refused, and writes no more', async () => {
    const reporter = make()
    reporter.open()
    state.refuse = true
    reporter.record(points(0, 1))
    reporter.progress(1, 2, 'steps')
    await vi.advanceTimersByTimeAsync(500)
    expect(onRefused).toHaveBeenCalledOnce()
    state.refuse = false
    reporter.record(points(1, 1))
    await vi.advanceTimersByTimeAsync(500)
    await reporter.close(live)
    expect(written).toEqual([])
    expect(progressed).toEqual([])
  })

  it('writes nothing before it was opened', async () => {
    const reporter = make()
    reporter.record(points(0, 1))
    await vi.advanceTimersByTimeAsync(2000)
    await reporter.close(live)
    expect(written).toEqual([])
  })
})
