/** Everything that can happen next in a small lab: its own progress, faults, and what people ask for. */
import type { AttemptEnding } from '../states.ts'
import { copyOf, type LabState, type ModelRef, type Topology } from './lab-state.ts'
import { type Rules, StoreModel } from './store-model.ts'

export interface Step {
  /** `progress` happens by itself, sooner or later; `fault` may; `wish` is a person's or the scheduler's. */
  readonly kind: 'progress' | 'fault' | 'wish'
  readonly name: string
  readonly state: LabState
  /** A result that the store accepted with this step, and whether its lease was the newest of its run. */
  readonly accepted?: { readonly ref: ModelRef; readonly newest: boolean }
}

export interface Possible {
  readonly topology: Topology
  readonly rules: Rules
  /** How an attempt may end by itself, beside succeeding. */
  readonly failures: readonly AttemptEnding[]
  readonly wishes: readonly ('cancel' | 'pause' | 'resume' | 'retry' | 'preempt')[]
  /** How many faults, and how many wishes, one history may have. */
  readonly faults: number
  readonly wishCount: number
  /** Results that may be under way at once after their workers died. */
  readonly networkSize: number
}

/** All steps that change something. */
export function stepsFrom(state: LabState, possible: Possible): Step[] {
  const steps: Step[] = []
  const add = (step: Step) => {
    if (step.kind === 'fault') step.state.faultsLeft -= 1
    if (step.kind === 'wish') step.state.wishesLeft -= 1
    if (step.state.faultsLeft >= 0 && step.state.wishesLeft >= 0) steps.push(step)
  }
  for (const source of [schedulerSteps, workerSteps, networkSteps, wishes]) for (const step of source(state, possible)) add(step)
  return steps
}

/** A copy, changed. */
function changed(state: LabState, { topology, rules }: Possible, change: (next: LabState, store: StoreModel) => void): LabState {
  const next = copyOf(state)
  change(next, new StoreModel(next, topology, rules))
  return next
}

const same = (one: { run: number; number: number }, other: { run: number; number: number }) =>
  one.run === other.run && one.number === other.number

function* schedulerSteps(state: LabState, possible: Possible): Generator<Step> {
  const step = (kind: Step['kind'], name: string, change: (next: LabState, store: StoreModel) => void): Step => ({
    kind,
    name,
    state: changed(state, possible, change),
  })
  for (const [run, { live }] of state.runs.entries()) {
    if (live?.state === 'waiting') {
      const job = { run, number: live.number }
      const isQueued = state.queue.some((other) => same(job, other))
      const add = (next: LabState) => {
        if (!isQueued) next.queue.push(job)
      }
      if (live.inOutbox) {
        yield step('progress', `hand ${run} to the queue`, (next) => {
          add(next)
          next.runs[run]!.live!.inOutbox = false
        })
        if (!isQueued) yield step('fault', `hand ${run} to the queue and die before the confirmation`, add)
      } else if (!isQueued) yield step('progress', `add the lost job of ${run} again`, add)
    }
    if (live?.token != null) {
      const holder = state.workers[live.worker ?? 0]
      const isAlone = holder?.run !== run || holder.token !== live.token
      // The clock of an unattended lease runs out by itself; that of a worker that lives does so where it is frozen or cut off.
      yield step(isAlone ? 'progress' : 'fault', `the lease of ${run} runs out`, (_, store) => store.expire(run))
    }
  }
  for (const [at, job] of state.queue.entries())
    yield step('fault', `the queue loses a job of ${job.run}`, (next) => next.queue.splice(at, 1))
}

function* workerSteps(state: LabState, possible: Possible): Generator<Step> {
  const step = (kind: Step['kind'], name: string, change: (next: LabState, store: StoreModel) => void): Step => ({
    kind,
    name,
    state: changed(state, possible, change),
  })
  for (const [w, worker] of state.workers.entries()) {
    if (worker === null) {
      for (const [at, { run, number }] of state.queue.entries()) {
        const take = (keepJob: boolean) => (next: LabState, store: StoreModel) => {
          if (!keepJob) next.queue.splice(at, 1)
          const token = store.lease(run, number, w)
          if (token !== undefined) next.workers[w] = { run, number, token, started: false, result: null }
        }
        yield step('progress', `worker ${w} takes ${run}`, take(false))
        yield step('fault', `worker ${w} takes ${run} from a job that is given out twice`, take(true))
      }
      continue
    }
    yield* holderSteps(state, possible, w, worker, step)
  }
}

type Make = (kind: Step['kind'], name: string, change: (next: LabState, store: StoreModel) => void) => Step

function* holderSteps(
  state: LabState,
  possible: Possible,
  w: number,
  worker: NonNullable<LabState['workers'][number]>,
  step: Make,
): Generator<Step> {
  const becomes = (value: LabState['workers'][number]) => (next: LabState) => {
    next.workers[w] = value
  }
  const { held, desired } = new StoreModel(state, possible.topology, possible.rules).heartbeat(worker)
  yield step('fault', `worker ${w} dies`, becomes(null))
  if (!held) yield step('progress', `worker ${w} learns that its lease is gone`, becomes(null))
  if (worker.result !== null) {
    yield* resultSteps(state, possible, w, { ...worker, result: worker.result }, step)
    return
  }
  if (!worker.started) {
    yield step('progress', `worker ${w} starts`, (next, store) => {
      next.workers[w] = store.start(worker) ? { ...worker, started: true } : null
    })
  } else yield step('progress', `worker ${w} finishes`, becomes({ ...worker, result: 'succeeded' }))
  if (held && desired !== 'run') {
    const result = ({ cancel: 'cancelled', pause: 'paused', preempt: 'preempted' } as const)[desired]
    yield step('progress', `worker ${w} obeys ${desired}`, becomes({ ...worker, result }))
  }
  for (const failure of possible.failures)
    yield step('fault', `worker ${w} ends as ${failure}`, becomes({ ...worker, result: failure }))
}

function* resultSteps(
  state: LabState,
  possible: Possible,
  w: number,
  word: ModelRef & { readonly result: AttemptEnding },
  step: Make,
): Generator<Step> {
  const { run, number, token, result } = word
  const told = endOf(state, possible, word)
  const after = (name: string, kind: Step['kind'], next: (told: LabState) => void): Step => {
    const made = copyOf(told.state)
    next(made)
    return { kind, name, state: made, ...(told.accepted && { accepted: told.accepted }) }
  }
  yield after(`worker ${w} says ${result}`, 'progress', (next) => {
    next.workers[w] = null
  })
  // It will say it again: a duplicate.
  yield after(`worker ${w} says ${result} and the answer is lost`, 'fault', () => {})
  if (state.network.length < possible.networkSize) {
    yield step('fault', `worker ${w} dies with ${result} under way`, (next) => {
      next.workers[w] = null
      next.network.push({ run, number, token, result })
    })
  }
}

function* networkSteps(state: LabState, possible: Possible): Generator<Step> {
  for (const [at, word] of state.network.entries()) {
    const { state: told, accepted } = endOf(state, possible, word)
    const rest = copyOf(told)
    rest.network.splice(at, 1)
    yield { kind: 'progress', name: `a late ${word.result} of ${word.run} arrives`, state: rest, ...(accepted && { accepted }) }
  }
}

function endOf(state: LabState, possible: Possible, word: ModelRef & { readonly result: AttemptEnding }) {
  const before = state.runs[word.run]!
  const next = copyOf(state)
  const isAccepted = new StoreModel(next, possible.topology, possible.rules).end(word, word.result)
  const newest = before.live?.number === word.number && before.fencing === word.token
  return { state: next, accepted: isAccepted ? { ref: word, newest } : undefined }
}

function* wishes(state: LabState, possible: Possible): Generator<Step> {
  if (state.wishesLeft === 0) return
  for (const wish of possible.wishes) {
    for (const run of state.runs.keys()) {
      yield {
        kind: 'wish',
        name: `${wish} ${run}`,
        state: changed(state, possible, (_, store) => (wish === 'preempt' ? store.ask(run, 'preempt') : store[wish](run))),
      }
    }
  }
}
