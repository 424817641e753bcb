/** The judge must be able to convict: the parts of the chaos harness that decide, without a lab. */
import { describe, expect, it } from 'vitest'
import { drawPlan, FAULTS } from './faults.ts'
import { gridOf } from './grid.ts'
import { createRandom } from './random.ts'
import { compare, type Outcome } from './verify.ts'

describe('drawPlan', () => {
  const plan = (seed: number, redis = true) => drawPlan(200, createRandom(seed), redis)

  it('draws the same faults from the same seed, others from another', () => {
    expect(plan(1)).toEqual(plan(1))
    expect(plan(1)).not.toEqual(plan(2))
  })

  it('has each kind that is possible on the queue, and no other', () => {
    const withRedis = new Set(plan(1))
    const without = new Set(plan(1, false))
    expect(withRedis.has('Redis FLUSHALL') && !withRedis.has('queue wiped')).toBe(true)
    expect(without.has('queue wiped') && !without.has('Redis FLUSHALL')).toBe(true)
    expect(new Set([...withRedis, ...without])).toEqual(new Set(Object.keys(FAULTS)))
  })

  it('draws as many as asked for, however few', () => {
    expect(drawPlan(3, createRandom(1), true)).toHaveLength(3)
    expect(drawPlan(0, createRandom(1), true)).toEqual([])
  })
})

describe('compare', () => {
  const outcome = (over: Partial<Record<keyof Outcome, [string, string][]>> = {}): Outcome => ({
    results: new Map(over.results ?? [['r sex auroc', '0.5 0.4 0.6']]),
    artifacts: new Map(over.artifacts ?? [['r checkpoints/8', 'abc 12']]),
    metrics: new Map(over.metrics ?? [['r 0 loss', '6.5']]),
  })

  it('finds nothing between equals', () => {
    expect(compare(outcome(), outcome())).toEqual({ compared: 3, mismatches: [], pointsMissing: 0 })
  })

  it.each([
    ['a result that differs in its last bit', { results: [['r sex auroc', '0.5000000000000001 0.4 0.6']] }],
    [
      'a result too many',
      {
        results: [
          ['r sex auroc', '0.5 0.4 0.6'],
          ['r view auroc', '1 1 1'],
        ],
      },
    ],
    ['no result', { results: [] }],
    ['other bytes in an artifact', { artifacts: [['r checkpoints/8', 'abd 12']] }],
    ['another loss at a step', { metrics: [['r 0 loss', '6.25']] }],
  ] satisfies [string, Partial<Record<keyof Outcome, [string, string][]>>][])('convicts %s', (_title, over) => {
    expect(compare(outcome(), outcome(over)).mismatches).toHaveLength(1)
  })

  it('counts a point that was lost with its process, and convicts nobody', () => {
    expect(compare(outcome(), outcome({ metrics: [] }))).toMatchObject({ mismatches: [], pointsMissing: 1 })
  })
})

it('a grid has at least the runs that were asked for', () => {
  for (const runs of [1, 4, 10, 60]) {
    const { seed, evaluations } = gridOf(runs)
    expect(1 + seed.length * (1 + evaluations[0]!.labels.length)).toBeGreaterThanOrEqual(runs)
  }
})
