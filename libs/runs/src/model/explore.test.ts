/** The promises of the run graph, for every history of small labs; and that each guard is needed for them. */
import { describe, expect, it } from 'vitest'
import { RETRY_BUDGETS } from '../retry-policy.ts'
import { explore, type Lab } from './explore.ts'
import { PRODUCTION_RULES, type Rules } from './store-model.ts'

/** Budgets of one try more, so that they are used up within few faults. */
const RULES: Rules = {
  ...PRODUCTION_RULES,
  policy: { budgets: { ...RETRY_BUDGETS, lost: 1, crashed: 1 }, poisonWorkers: 2 },
}
const SHARED_UPSTREAM = [[], [0], [0]]
/** As a grid has it: an evaluation needs the pack and the pretraining. */
const GRID = [[], [0], [0, 1]]
const CHAIN = [[], [0]]
const ALL_WISHES = ['cancel', 'pause', 'resume', 'retry', 'preempt'] as const

const lab = (over: Partial<Lab>): Lab => ({
  topology: SHARED_UPSTREAM,
  rules: RULES,
  workers: 2,
  failures: ['crashed'],
  wishes: ALL_WISHES,
  faults: 1,
  wishCount: 1,
  networkSize: 1,
  maxStates: 400_000,
  ...over,
})

const MINUTES = 60_000

describe('two workers', () => {
  it.each<[string, Partial<Lab>]>([
    [
      'three runs with a shared upstream, any number of faults',
      {
        wishes: [],
        wishCount: 0,
        failures: [],
        faults: Number.POSITIVE_INFINITY,
        rules: { ...RULES, policy: { budgets: { ...RETRY_BUDGETS, lost: 0 }, poisonWorkers: 2 } },
      },
    ],
    ['three runs with a shared upstream, two faults', { wishes: [], wishCount: 0, faults: 2 }],
    ['three runs with a shared upstream, a fault and a wish', {}],
    ['three runs as in a grid, a fault and a wish', { topology: GRID }],
    ['a chain of two, two faults and two wishes', { topology: CHAIN, faults: 2, wishCount: 2 }],
  ])(
    'and %s: every promise is kept in every state',
    (name, over) => {
      const { states, steps, violation } = explore(lab(over))
      expect(violation).toBeNull()
      expect(states).toBeGreaterThan(5000)
      console.log(`explored ${states} states, ${steps} steps: two workers and ${name}`)
    },
    5 * MINUTES,
  )
})

/** The promise that breaks: the last line of the shortest history, or the move that the table refused. */
function broken(rules: Partial<Rules>, over: Partial<Lab> = {}): string {
  try {
    return explore(lab({ ...over, rules: { ...RULES, ...rules } })).violation?.at(-1) ?? 'nothing'
  } catch (error) {
    return (error as Error).message
  }
}

describe('without', () => {
  it('the comparison of attempt and token, a stale result is accepted', () => {
    const isHeld: Rules['isHeld'] = ({ state }) => state === 'leased' || state === 'running'
    expect(broken({ isHeld })).toBe('a result of a stale token of run 0 is accepted')
  })

  it('the comparison of the state, a result counts though nobody has the attempt', () => {
    const isHeld: Rules['isHeld'] = () => true
    expect(broken({ isHeld })).toMatch(/stale token|and its attempt is held/)
  })

  it('the guard of the lease, a run is leased twice', () => {
    expect(broken({ canLease: () => true })).toBe('a run that is running cannot become running')
  })

  it('the wait for all upstreams, a run begins too early', () => {
    const isReady: Rules['isReady'] = (states) => states.some((state) => state === 'succeeded')
    expect(broken({ isReady }, { topology: GRID })).toBe('run 2 is queued before its upstreams succeeded')
  })

  it('the word to dependents, a run is blocked for ever', () => {
    expect(broken({ isReady: () => false })).toBe('run 1 is blocked for ever: nothing is above it')
    expect(broken({ failsWithUpstream: [] }, { wishes: ['cancel'] })).toBe(
      'run 1 is blocked for ever: an upstream ended without success',
    )
    expect(broken({ failsWithUpstream: ['blocked'] }, { topology: CHAIN, faults: 0, wishCount: 3 })).toBe(
      'run 1 is blocked for ever: an upstream ended without success',
    )
  })

  it('an end for what succeeded, the lab goes round in circles', () => {
    const nextState: Rules['nextState'] = (ended, policy) =>
      RULES.nextState(ended.ending === 'succeeded' ? { ...ended, ending: 'preempted' } : ended, policy)
    expect(broken({ nextState }, { wishes: [] })).toMatch(/no end is reachable|round in circles/)
  })
})
