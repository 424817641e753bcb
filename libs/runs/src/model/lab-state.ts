/** The state of a small lab, as the explorer sees it: what the database holds, what is under way, what each worker believes. */
import type { AttemptEnding, AttemptState, Desired, RunState } from '../states.ts'

export interface ModelAttempt {
  /** 1 for the run's first attempt. */
  number: number
  state: Exclude<AttemptState, 'ended'>
  token: number | null
  worker: number | null
  /** Not handed to the queue yet. */
  inOutbox: boolean
}

export interface ModelRun {
  state: RunState
  desired: Desired
  /** Token of the newest lease. */
  fencing: number
  /** Number of the newest attempt. */
  attempts: number
  /** The one attempt that has not ended. */
  live: ModelAttempt | null
  /** Ends since the budgets began, by ending, counted up to one more than the budget. */
  times: Partial<Record<AttemptEnding, number>>
  /** Bit w: worker w was lost over it while it computed. */
  lostBy: number
  /** How often a success was accepted: what must never be two. */
  successes: number
}

/** Proof that a worker holds, rightly or not. */
export interface ModelRef {
  readonly run: number
  readonly number: number
  readonly token: number
}

export interface ModelWorker extends ModelRef {
  readonly started: boolean
  /** What it will say, once it knows. */
  readonly result: AttemptEnding | null
}

export interface LabState {
  runs: ModelRun[]
  /** Jobs: attempts by run and number. A set: the queue keeps one job an attempt. */
  queue: { readonly run: number; readonly number: number }[]
  workers: (ModelWorker | null)[]
  /** Results on their way from workers that are gone. */
  network: (ModelRef & { readonly result: AttemptEnding })[]
  /** Faults and wishes that may still come: bounds the histories, at any step of which they may come. */
  faultsLeft: number
  wishesLeft: number
}

/** Runs in the order upstream first; `upstreams[i]` are indexes below i. */
export type Topology = readonly (readonly number[])[]

export function firstState(topology: Topology, workers: number, faults: number, wishes: number): LabState {
  const runs = topology.map((upstreams): ModelRun => {
    const ready = upstreams.length === 0
    return {
      state: ready ? 'queued' : 'blocked',
      desired: 'run',
      fencing: 0,
      attempts: ready ? 1 : 0,
      live: ready ? { number: 1, state: 'waiting', token: null, worker: null, inOutbox: true } : null,
      times: {},
      lostBy: 0,
      successes: 0,
    }
  })
  return { runs, queue: [], workers: Array(workers).fill(null), network: [], faultsLeft: faults, wishesLeft: wishes }
}

export function copyOf(state: LabState): LabState {
  return {
    runs: state.runs.map((run) => ({ ...run, live: run.live && { ...run.live }, times: { ...run.times } })),
    queue: [...state.queue],
    workers: [...state.workers],
    network: [...state.network],
    faultsLeft: state.faultsLeft,
    wishesLeft: state.wishesLeft,
  }
}

/**
 * States that differ only in how high tokens and attempt numbers have risen, or in the order of sets, are one: tokens and numbers
 * are compared for equality alone, so each run's are replaced by their ranks.
 */
export function keyOf(state: LabState): string {
  const ranks = state.runs.map((run, i) => ranksOf(state, run, i))
  const ref = ({ run, number, token }: ModelRef) => `${run}.${ranks[run]!.number(number)}.${ranks[run]!.token(token)}`
  const runs = state.runs.map((run, i) => {
    const { live, state: is, desired, lostBy, successes, times } = run
    const { token, number } = ranks[i]!
    const attempt =
      live && `${live.state}${number(live.number)}${live.token === null ? '' : token(live.token)}${live.worker}${live.inOutbox}`
    const counts = `${times.lost ?? 0}${times.crashed ?? 0}${times['out-of-memory'] ?? 0}${times['non-finite'] ?? 0}${times['spec-error'] ?? 0}`
    return `${is},${desired},${attempt},${token(run.fencing)},${number(run.attempts)},${counts},${lostBy},${successes}`
  })
  const queue = state.queue.map(({ run, number }) => `${run}.${ranks[run]!.number(number)}`).sort()
  const workers = state.workers.map((worker) => (worker ? `${ref(worker)}${worker.started}${worker.result}` : '-'))
  const network = state.network.map((word) => `${ref(word)}${word.result}`).sort()
  return `${runs.join('|')};${queue};${workers};${network};${state.faultsLeft};${state.wishesLeft}`
}

function ranksOf(state: LabState, run: ModelRun, index: number) {
  const tokens = new Set([run.fencing])
  const numbers = new Set([run.attempts])
  const see = (ref: { readonly number: number; readonly token: number | null } | null) => {
    if (ref === null) return
    numbers.add(ref.number)
    if (ref.token !== null) tokens.add(ref.token)
  }
  see(run.live)
  for (const worker of state.workers) if (worker?.run === index) see(worker)
  for (const word of state.network) if (word.run === index) see(word)
  for (const job of state.queue) if (job.run === index) numbers.add(job.number)
  return { token: rankIn(tokens), number: rankIn(numbers) }
}

/** The rank of a value from the highest down. */
function rankIn(values: ReadonlySet<number>): (value: number) => number {
  if (values.size === 1) return () => 0
  const sorted = [...values].sort((a, b) => b - a)
  return (value) => sorted.indexOf(value)
}
