/**
 * Explores every state that a small lab can reach, breadth first, and says the first history that breaks a promise:
 * a run that succeeds twice, a result of a stale token that is accepted, a state that contradicts itself, a state from which no
 * end is reachable, or a circle that the lab can run in without any fault.
 */

import type { RunState } from '../states.ts'
import { hasEnded } from '../transitions.ts'
import { firstState, keyOf, type LabState, type ModelRun, type Topology } from './lab-state.ts'
import { type Possible, type Step, stepsFrom } from './steps.ts'

export interface Exploration {
  readonly states: number
  readonly steps: number
  /** The shortest history that breaks a promise, with the promise as its last line; null: all are kept. */
  readonly violation: readonly string[] | null
}

interface Node {
  readonly state: LabState
  readonly from: number
  readonly by: string
  /** What happens by itself from here. */
  readonly progress: number[]
}

export interface Lab extends Possible {
  readonly workers: number
  /** Gives up with an error beyond this. */
  readonly maxStates: number
}

/** @throws RangeError where there are more than `maxStates` states: then nothing is shown. */
export function explore(lab: Lab): Exploration {
  const nodes: Node[] = []
  const known = new Map<string, number>()
  let steps = 0
  const visit = (state: LabState, from: number, by: string): number => {
    const key = keyOf(state)
    const seen = known.get(key)
    if (seen !== undefined) return seen
    if (nodes.length >= lab.maxStates) throw new RangeError(`more than ${lab.maxStates} states`)
    known.set(key, nodes.length)
    nodes.push({ state, from, by, progress: [] })
    return nodes.length - 1
  }
  visit(firstState(lab.topology, lab.workers, lab.faults, lab.wishCount), -1, 'begin')
  for (let at = 0; at < nodes.length; at++) {
    const node = nodes[at]!
    const broken = contradiction(node.state, lab.topology)
    if (broken) return { states: nodes.length, steps, violation: [...historyOf(nodes, at), broken] }
    for (const step of stepsFrom(node.state, lab)) {
      steps += 1
      const wrong = wrongStep(step)
      if (wrong) return { states: nodes.length, steps, violation: [...historyOf(nodes, at), step.name, wrong] }
      const next = visit(step.state, at, step.name)
      if (step.kind === 'progress' && next !== at) node.progress.push(next)
    }
  }
  return { states: nodes.length, steps, violation: stuck(nodes, lab.topology) }
}

function wrongStep({ accepted, state }: Step): string | undefined {
  if (accepted && !accepted.newest) return `a result of a stale token of run ${accepted.ref.run} is accepted`
  const twice = state.runs.findIndex(({ successes }) => successes > 1)
  return twice < 0 ? undefined : `run ${twice} succeeds twice`
}

/** What must hold between any two transactions. */
function contradiction({ runs }: LabState, topology: Topology): string | undefined {
  for (const [i, run] of runs.entries()) {
    const upstreams = topology[i]!.map((up) => runs[up]!.state)
    const wrong = ownContradiction(run) ?? upstreamContradiction(run.state, upstreams)
    if (wrong) return `run ${i} is ${wrong}`
  }
}

function ownContradiction({ state, live, desired, successes }: ModelRun): string | undefined {
  const expected = state === 'queued' ? 'waiting' : state === 'running' ? 'held' : 'none'
  const found = live === null ? 'none' : live.state === 'waiting' ? 'waiting' : 'held'
  if (expected !== found) return `${state} and its attempt is ${found}`
  if (desired !== 'run' && state !== 'running') return `${state} and its worker is asked to ${desired}`
  if (successes > 0 !== (state === 'succeeded')) return `${state} after ${successes} successes`
}

function upstreamContradiction(state: RunState, upstreams: readonly RunState[]): string | undefined {
  const areReady = upstreams.every((up) => up === 'succeeded')
  if (state === 'queued' || state === 'running') return areReady ? undefined : `${state} before its upstreams succeeded`
  if (state !== 'blocked') return undefined
  if (areReady) return 'blocked for ever: nothing is above it'
  return upstreams.some((up) => hasEnded(up) && up !== 'succeeded')
    ? 'blocked for ever: an upstream ended without success'
    : undefined
}

/** At rest: whatever has not ended is paused, or waits for something that is. */
function isAtRest({ runs, network }: LabState, topology: Topology): boolean {
  const resting = runs.map(() => false)
  for (const [i, { state }] of runs.entries())
    resting[i] =
      hasEnded(state) ||
      state === 'paused' ||
      (state === 'blocked' && topology[i]!.some((up) => resting[up] && !hasEnded(runs[up]!.state)))
  return network.length === 0 && resting.every(Boolean)
}

/** Whether some state leads to no rest by progress alone, or progress alone can go round in circles. */
function stuck(nodes: readonly Node[], topology: Topology): readonly string[] | null {
  const leadsToRest = new Uint8Array(nodes.length)
  const waiting = nodes.map(({ progress }) => progress.length)
  const before: number[][] = nodes.map(() => [])
  nodes.forEach(({ progress }, at) => {
    for (const next of progress) before[next]!.push(at)
  })
  const reached: number[] = []
  nodes.forEach(({ state }, at) => {
    if (isAtRest(state, topology)) {
      leadsToRest[at] = 1
      reached.push(at)
    }
  })
  while (reached.length > 0) {
    for (const at of before[reached.pop()!]!) {
      if (leadsToRest[at]) continue
      leadsToRest[at] = 1
      reached.push(at)
    }
  }
  const blocked = leadsToRest.indexOf(0)
  if (blocked >= 0) return [...historyOf(nodes, blocked), 'no end is reachable from here']
  // Peels off states from which progress ends for certain; what is left lies on a circle or leads to one.
  const over = waiting.flatMap((count, at) => (count === 0 ? [at] : []))
  let peeled = 0
  while (over.length > 0) {
    peeled += 1
    for (const at of before[over.pop()!]!) if (--waiting[at]! === 0) over.push(at)
  }
  const circle = peeled < nodes.length ? waiting.findIndex((count) => count > 0) : -1
  return circle < 0 ? null : [...historyOf(nodes, circle), 'the lab can go round in circles from here, without any fault']
}

function historyOf(nodes: readonly Node[], at: number): string[] {
  const history: string[] = []
  for (let node = nodes[at]; node && node.from >= 0; node = nodes[node.from]) history.push(node.by)
  return history.reverse()
}
