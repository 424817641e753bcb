import { describe, expect, it } from 'vitest'
import { fairLine, type LineOptions, type WaitingAttempt } from './fair-line.ts'

const attempt = (attemptId: string, over: Partial<WaitingAttempt> = {}): WaitingAttempt => ({
  attemptId,
  owner: attemptId[0]!,
  gridId: `grid of ${attemptId[0]}`,
  priority: 0,
  place: Number(attemptId.slice(1)),
  costSeconds: 10,
  offered: false,
  ...over,
})
const options = (over: Partial<LineOptions> = {}): LineOptions => ({
  limits: { perUser: Number.POSITIVE_INFINITY, perGrid: Number.POSITIVE_INFINITY },
  window: 100,
  usage: new Map(),
  activeByOwner: new Map(),
  activeByGrid: new Map(),
  ...over,
})
const idsOf = (waiting: readonly WaitingAttempt[], over?: Partial<LineOptions>) =>
  fairLine(waiting, options(over)).line.map(({ attemptId }) => attemptId)
const many = (owner: string, count: number) => Array.from({ length: count }, (_, i) => attempt(`${owner}${i}`))

describe('the line', () => {
  it('keeps the order of one owner: priority, then place', () => {
    expect(idsOf([attempt('a2'), attempt('a1'), attempt('a3', { priority: 5 })])).toEqual(['a3', 'a1', 'a2'])
  })

  it('lets a newcomer share with whoever came first with a thousand', () => {
    expect(idsOf([...many('a', 1000), ...many('b', 2)]).slice(0, 5)).toEqual(['a0', 'b0', 'a1', 'b1', 'a2'])
  })

  it('makes up for what was used before', () => {
    const line = idsOf([...many('a', 5), ...many('b', 5)], { usage: new Map([['a', 25]]) })
    expect(line.slice(0, 5)).toEqual(['b0', 'b1', 'b2', 'a0', 'b3'])
  })

  it('shares time, not attempts', () => {
    const long = many('a', 4).map((one) => ({ ...one, costSeconds: 30 }))
    expect(idsOf([...long, ...many('b', 6)]).slice(0, 5)).toEqual(['a0', 'b0', 'b1', 'b2', 'a1'])
  })

  it('puts a priority before any fairness', () => {
    const urgent = attempt('a9', { priority: 1 })
    expect(idsOf([...many('b', 2), urgent], { usage: new Map([['a', 1e9]]) })[0]).toBe('a9')
  })

  it('holds the rest outside of the queue, and what is in it keeps a place', () => {
    const { line, held } = fairLine([...many('a', 5), attempt('a7', { offered: true })], options({ window: 2 }))
    expect(line.map(({ attemptId }) => attemptId)).toEqual(['a0', 'a1', 'a7'])
    expect(held).toEqual(['a2', 'a3', 'a4'].map((attemptId) => ({ attemptId, hold: 'line' })))
  })
})

describe('limits', () => {
  it('count what is at work and in the queue; others of the line pass', () => {
    const waiting = [attempt('a0', { offered: true }), attempt('a1'), attempt('a2'), ...many('b', 2)]
    const { line, held } = fairLine(waiting, options({ limits: { perUser: 3, perGrid: 99 }, activeByOwner: new Map([['a', 1]]) }))
    expect(line.map(({ attemptId }) => attemptId).sort()).toEqual(['a0', 'a1', 'b0', 'b1'])
    expect(held).toEqual([{ attemptId: 'a2', hold: 'user-limit' }])
  })

  it('of a grid leave the same owner room for another grid', () => {
    const waiting = [...many('a', 3), attempt('a9', { gridId: 'other' })]
    const { line, held } = fairLine(waiting, options({ limits: { perUser: 99, perGrid: 1 } }))
    expect(line.map(({ attemptId }) => attemptId)).toEqual(['a0', 'a9'])
    expect(held.map(({ hold }) => hold)).toEqual(['grid-limit', 'grid-limit'])
  })
})
