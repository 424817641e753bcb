import { expect, it } from 'vitest'
import { EvaluationInputError, judgeTonight, NIGHTS_NEEDED, type Night, quietLimits } from '../index.ts'

/** Mulberry32: low bits good enough for tails, and the same on every machine. */
function stream(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
const normalFrom = (uniform: () => number) => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())

const SEEDS = 3
/** Nights of a metric at 100 with runs that spread by 1 (sigma); `shift` moves a night's runs. */
const simulate = (uniform: () => number, nights: number, shift: (night: number) => number = () => 0, seeds = SEEDS): Night[] =>
  Array.from({ length: nights }, (_, night) => Array.from({ length: seeds }, () => 100 + shift(night) + normalFrom(uniform)))

const limitsFor = (seeds: number, metrics = 1) =>
  quietLimits({ falseAlarms: 0.008, metrics, seeds }, stream(seeds), 20_000 * metrics)
const oneSeed = limitsFor(1)
const limits = limitsFor(SEEDS)

it.each([1, SEEDS])('is quiet on at least 99 of 100 quiet nights, with %d seeds', (seeds) => {
  const own = seeds === 1 ? oneSeed : limits
  const uniform = stream(2 + seeds)
  const count = 20_000
  let alarms = 0
  for (let i = 0; i < count; i++)
    if (judgeTonight(simulate(uniform, NIGHTS_NEEDED, undefined, seeds), 'higher', own)!.alarms.length > 0) alarms++
  expect(alarms / count).toBeLessThanOrEqual(0.01)
  expect(alarms).toBeGreaterThan(0)
})

it('keeps the share for a suite of four metrics', () => {
  const four = limitsFor(SEEDS, 4)
  const uniform = stream(4)
  const suites = 10_000
  let alarms = 0
  for (let i = 0; i < suites; i++) {
    const verdicts = [0, 1, 2, 3].map(() => judgeTonight(simulate(uniform, NIGHTS_NEEDED), 'lower', four)!)
    if (verdicts.some((verdict) => verdict.alarms.length > 0)) alarms++
  }
  expect(alarms / suites).toBeLessThanOrEqual(0.01)
}, 60_000)

it('finds a drop of 3 sigma the first night, and says that it began there', () => {
  const uniform = stream(5)
  const count = 2000
  let found = 0
  for (let i = 0; i < count; i++) {
    const verdict = judgeTonight(
      simulate(uniform, NIGHTS_NEEDED, (night) => (night === NIGHTS_NEEDED - 1 ? -3 : 0)),
      'higher',
      limits,
    )!
    if (verdict.alarms.includes('drop') && verdict.since === NIGHTS_NEEDED - 1) found++
  }
  expect(found / count).toBeGreaterThanOrEqual(0.95)
})

it.each([1, SEEDS])('finds a drift of a quarter sigma a night within 14 nights, with %d seeds', (seeds) => {
  const own = seeds === 1 ? oneSeed : limits
  const uniform = stream(6)
  const count = 1000
  let found = 0
  for (let i = 0; i < count; i++) {
    const nights = simulate(uniform, NIGHTS_NEEDED + 14, (night) => 0.25 * Math.max(0, night - NIGHTS_NEEDED + 1), seeds)
    const alarmed = Array.from({ length: 14 }, (_, k) => judgeTonight(nights.slice(0, NIGHTS_NEEDED + k + 1), 'lower', own)!)
    if (alarmed.some(({ alarms }) => alarms.length > 0)) found++
  }
  expect(found / count).toBeGreaterThanOrEqual(0.95)
})

it('never takes what got better for a regression', () => {
  const better = simulate(stream(7), NIGHTS_NEEDED, (night) => (night > 30 ? 20 : 0))
  expect(judgeTonight(better, 'higher', limits)!.alarms).toEqual([])
  expect(judgeTonight(better, 'lower', limits)!.alarms).toEqual(['drop', 'drift'])
  expect(judgeTonight(better, 'lower', limits)!.since).toBe(31)
})

it('does not call rounding a regression where every night repeats the same numbers', () => {
  const nights = [...Array.from({ length: NIGHTS_NEEDED - 1 }, () => [0.8]), [0.8 - 1e-9]]
  expect(judgeTonight(nights, 'higher', limits)!.alarms).toEqual([])
  expect(judgeTonight([...nights.slice(1), [0.79]], 'higher', limits)!.alarms).toContain('drop')
})

it('gives no verdict before it has a baseline, and refuses nights without a number', () => {
  expect(judgeTonight(simulate(stream(8), NIGHTS_NEEDED - 1), 'higher', limits)).toBeNull()
  expect(() => judgeTonight([[0.5], []], 'higher', limits)).toThrow(EvaluationInputError)
  expect(() => judgeTonight([[Number.NaN]], 'higher', limits)).toThrow('night 1')
})
