/**
 * The store's operations on the model's state. Every decision is the production code's (`Rules`); what is modelled is only that
 * each operation is one transaction. A test replays random histories on the real store and compares.
 */
import { canLease, FAILS_WITH_UPSTREAM, idleStatesBefore, isHeld, isReady, planRetry, WISHES_REPLACED_BY } from '../guards.ts'
import { nextState, RETRY_POLICY, type RetryPolicy } from '../retry-policy.ts'
import type { AttemptEnding, Desired, RunState } from '../states.ts'
import { assertTransition } from '../transitions.ts'
import type { LabState, ModelAttempt, ModelRef, ModelRun, Topology } from './lab-state.ts'

export interface Rules {
  readonly isHeld: typeof isHeld<number>
  readonly canLease: typeof canLease
  readonly isReady: typeof isReady
  readonly nextState: typeof nextState
  readonly failsWithUpstream: readonly RunState[]
  readonly policy: RetryPolicy
}

export const PRODUCTION_RULES: Rules = {
  isHeld,
  canLease,
  isReady,
  nextState,
  failsWithUpstream: FAILS_WITH_UPSTREAM,
  policy: RETRY_POLICY,
}

export class StoreModel {
  readonly state: LabState
  readonly #topology: Topology
  readonly #rules: Rules

  /** Changes `state` in place. */
  constructor(state: LabState, topology: Topology, rules: Rules) {
    this.state = state
    this.#topology = topology
    this.#rules = rules
  }

  /** The token, or undefined where the attempt does not wait any more. */
  lease(index: number, number: number, worker: number): number | undefined {
    const run = this.#run(index)
    const { live } = run
    if (live?.number !== number || !this.#rules.canLease(run.state, live.state)) return undefined
    this.#move(run, 'running')
    run.fencing += 1
    run.live = { number, state: 'leased', token: run.fencing, worker, inOutbox: false }
    return run.fencing
  }

  start({ run: index, number, token }: ModelRef): boolean {
    const { live } = this.#run(index)
    if (!this.#isHeld(live, number, token)) return false
    live.state = 'running'
    return true
  }

  heartbeat({ run: index, number, token }: ModelRef): { held: boolean; desired: Desired } {
    const { live, desired } = this.#run(index)
    return { held: this.#isHeld(live, number, token), desired }
  }

  end(ref: ModelRef, ending: AttemptEnding): boolean {
    const { live } = this.#run(ref.run)
    if (!this.#isHeld(live, ref.number, ref.token)) return false
    this.#moveOn(ref.run, ending)
    return true
  }

  /** The lease of the run's attempt ran out. */
  expire(index: number): void {
    if (this.#run(index).live?.token != null) this.#moveOn(index, 'lost')
  }

  ask(index: number, wish: Desired): boolean {
    const run = this.#run(index)
    if (run.state !== 'running' || !WISHES_REPLACED_BY[wish].includes(run.desired)) return false
    run.desired = wish
    return true
  }

  cancel(index: number): void {
    const run = this.#run(index)
    if (run.state === 'running') this.ask(index, 'cancel')
    else if (idleStatesBefore('cancelled').includes(run.state)) this.#finish(index, 'cancelled')
  }

  pause(index: number): void {
    const run = this.#run(index)
    if (run.state === 'running') this.ask(index, 'pause')
    else if (idleStatesBefore('paused').includes(run.state)) {
      this.#move(run, 'paused')
      run.live = null
    }
  }

  resume(index: number): void {
    const run = this.#run(index)
    if (run.state === 'running' && run.desired === 'pause') this.ask(index, 'run')
    if (run.state !== 'paused') return
    this.#move(run, 'blocked')
    this.#unblock(index)
  }

  /** The run, those above it that ended without success, and what is upstream-failed below any of these. */
  retry(index: number): void {
    const ids = this.#topology.map((_, i) => i)
    const above = new Set([index])
    for (const i of ids.toReversed()) if (above.has(i)) for (const up of this.#topology[i]!) above.add(up)
    const scope = new Set(ids.filter((i) => above.has(i) && isOver(this.#run(i).state)))
    for (const i of ids)
      if (this.#run(i).state === 'upstream-failed' && this.#topology[i]!.some((up) => scope.has(up))) scope.add(i)
    const { restored, ready } = planRetry(
      ids.map((i) => ({
        id: String(i),
        state: this.#run(i).state,
        inScope: scope.has(i),
        upstream: this.#topology[i]!.map(String),
      })),
    )
    for (const id of restored) {
      const run = this.#run(Number(id))
      this.#move(run, 'blocked')
      run.times = {}
      run.lostBy = 0
    }
    for (const id of ready) this.#queue(this.#run(Number(id)))
  }

  #moveOn(index: number, ending: AttemptEnding): void {
    const run = this.#run(index)
    const { policy } = this.#rules
    const cap = Number.isFinite(policy.budgets[ending]) ? policy.budgets[ending] + 1 : 0
    const times = (run.times[ending] ?? 0) + 1
    if (cap > 0) run.times[ending] = Math.min(times, cap)
    if (ending === 'lost' && run.live?.state === 'running') run.lostBy |= 1 << (run.live.worker ?? 0)
    run.live = null
    const next = this.#rules.nextState(
      { ending, message: null, times, workersLost: bits(run.lostBy), desired: run.desired },
      policy,
    )
    if (next.state === 'queued') this.#queue(run)
    else if (next.state === 'paused') this.#move(run, 'paused')
    else this.#finish(index, next.state)
  }

  #finish(index: number, state: 'succeeded' | 'failed' | 'cancelled'): void {
    const run = this.#run(index)
    this.#move(run, state)
    run.live = null
    if (state === 'succeeded') {
      run.successes += 1
      this.#topology.forEach((upstreams, i) => {
        if (upstreams.includes(index)) this.#unblock(i)
      })
      return
    }
    const failed = new Set([index])
    this.#topology.forEach((upstreams, i) => {
      if (!upstreams.some((up) => failed.has(up))) return
      failed.add(i)
      if (this.#rules.failsWithUpstream.includes(this.#run(i).state)) this.#move(this.#run(i), 'upstream-failed')
    })
  }

  #unblock(index: number): void {
    const run = this.#run(index)
    const upstreams = this.#topology[index]!.map((up) => this.#run(up).state)
    if (run.state === 'blocked' && this.#rules.isReady(upstreams)) this.#queue(run)
  }

  #queue(run: ModelRun): void {
    this.#move(run, 'queued')
    run.attempts += 1
    run.live = { number: run.attempts, state: 'waiting', token: null, worker: null, inOutbox: true }
  }

  #move(run: ModelRun, to: RunState): void {
    assertTransition(run.state, to)
    run.state = to
    run.desired = 'run'
  }

  #isHeld(live: ModelAttempt | null, number: number, token: number): live is ModelAttempt {
    return live !== null && this.#rules.isHeld({ id: live.number, state: live.state, token: live.token }, { id: number, token })
  }

  #run(index: number): ModelRun {
    return this.state.runs[index]!
  }
}

const isOver = (state: RunState): boolean => state === 'failed' || state === 'cancelled' || state === 'upstream-failed'
const bits = (mask: number): number => mask.toString(2).replaceAll('0', '').length
