/** Why a run is in its state: one sentence for a person, made of facts that the store gathered. */
import type { HoldReason } from '#libs/scheduling'
import type { StartEstimate, Why } from './ports.ts'
import type { RunState } from './states.ts'

export interface WhyFacts extends Omit<Why, 'sentence'> {
  readonly resourceClass: string
  /** The run's own words on its end. */
  readonly message: string | null
  /** What the worker of a running run was asked to do. */
  readonly desired: string
  /** Share done of the run itself, 0..1; null where unknown. */
  readonly progress: number | null
  /** Seconds until its attempt may be handed to the queue; null where it may now. */
  readonly backoffSeconds: number | null
}

const percent = (share: number): string => `${Math.floor(100 * share)} %`
const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** `40 seconds`, `12 minutes`, `3 hours`, `2 days`: as exact as an estimate is. */
export function roughly(seconds: number): string {
  for (const [unit, noun] of UNITS) if (seconds >= 1.5 * unit) return plural(Math.round(seconds / unit), noun)
  return plural(Math.max(1, Math.round(seconds)), 'second')
}
const UNITS = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
] as const

function soon(verb: string, estimate: StartEstimate | null): string {
  if (estimate === null) return ''
  const [half, most] = [roughly(estimate.p50), roughly(estimate.p90)]
  return half === most ? `; ${verb} in about ${half}` : `; ${verb} in about ${half}, most likely within ${most}`
}

function blocked({ waitsFor, start }: WhyFacts): string {
  if (waitsFor.length === 0) return 'Waits for the scheduler: all upstream runs have succeeded.'
  const waits = waitsFor.map(({ id, kind, state, progress, end }) => {
    const share = progress === null ? '' : `, ${percent(progress)} done`
    return `${kind} ${id.slice(0, 12)} (${state}${share}${end === null ? '' : `, ${roughly(end.p50)} left`})`
  })
  return `Waits for ${waits.join(' and ')}${soon('should start', start)}.`
}

const LIMITS: Readonly<Record<HoldReason, string | undefined>> = {
  line: undefined,
  'user-limit': 'its owner has as many runs at work as the limit allows',
  'grid-limit': 'its grid has as many runs at work as the limit allows',
}

function queued({ runsAhead, workersOfClass, resourceClass, backoffSeconds, hold, start }: WhyFacts): string {
  if (workersOfClass === 0) return `Waits for a worker: none of class "${resourceClass}" is alive.`
  if (backoffSeconds !== null && backoffSeconds > 0) {
    return `Waits ${plural(Math.ceil(backoffSeconds), 'second')} before it is tried again.`
  }
  const limit = hold === null ? undefined : LIMITS[hold]
  if (limit) return `Waits for its turn: ${limit}.`
  const ahead = runsAhead ? `${plural(runsAhead, 'run')} ${runsAhead === 1 ? 'is' : 'are'} ahead of it` : 'it is next'
  const workers = workersOfClass === null ? '' : ` (${plural(workersOfClass, 'worker')} of class "${resourceClass}" alive)`
  return `Waits for a worker: ${ahead}${workers}${soon('should start', start)}.`
}

function running({ desired, progress }: WhyFacts): string {
  const share = progress === null ? '' : `, ${percent(progress)} done`
  return desired === 'run' ? `Running${share}.` : `Running${share}; its worker was asked to ${desired}.`
}

function upstreamFailed({ rootCause }: WhyFacts): string {
  if (rootCause === null) return 'Not tried: a run that it needs did not succeed.'
  const words = rootCause.message === null ? '' : `: ${rootCause.message}`
  return `Not tried: ${rootCause.kind} ${rootCause.id.slice(0, 12)}, which it needs, did not succeed${words}.`
}

const withWords = (verb: string, message: string | null): string => (message === null ? `${verb}.` : `${verb}: ${message}.`)

const SENTENCES: Readonly<Record<RunState, (facts: WhyFacts) => string>> = {
  blocked,
  queued,
  running,
  succeeded: () => 'Succeeded.',
  failed: ({ message }) => withWords('Failed', message),
  paused: ({ message }) => withWords('Paused', message),
  cancelled: ({ message }) => withWords('Cancelled', message),
  'upstream-failed': upstreamFailed,
}

/** One sentence that ends with one full stop. */
export function whySentence(facts: WhyFacts): string {
  return SENTENCES[facts.state](facts).replace(/\.+$/, '.')
}

/** The answer of `LabReader.why`. */
export function explain(facts: WhyFacts): Why {
  const { state, waitsFor, runsAhead, workersOfClass, hold, start, rootCause } = facts
  return { state, sentence: whySentence(facts), waitsFor, runsAhead, workersOfClass, hold, start, rootCause }
}
