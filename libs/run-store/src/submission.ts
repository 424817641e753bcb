/** What a submission changes, decided from the plan and from the states of those of its runs that exist. Pure. */
import { type GridPlan, RUN_KINDS, type RunDraft, type RunKind, runTitle } from '#libs/experiments'
import type { RunCounts, RunState } from '#libs/runs'

export interface ExistingRun {
  readonly id: string
  readonly state: RunState
  /** Set where the state is upstream-failed. */
  readonly root_run_id: string | null
}

export interface NewRun {
  readonly draft: RunDraft
  /** A run above it that failed or was cancelled and is not tried again; null: the run is born blocked. */
  readonly failedRoot: { readonly id: string; readonly message: string } | null
}

export interface Submission {
  /** Upstream before downstream. */
  readonly newRuns: readonly NewRun[]
  readonly retried: readonly string[]
  /** Of the new and of the retried runs those whose upstreams have all succeeded: they can be queued. */
  readonly readyNew: readonly string[]
  readonly readyRetried: readonly string[]
  /** Runs that somebody paused: they go on. */
  readonly paused: readonly string[]
  /** Runs that failed or were cancelled before and stay so. */
  readonly leftFailed: number
  readonly runs: RunCounts
  readonly byKind: Readonly<Record<RunKind, RunCounts>>
}

type Fate = keyof RunCounts
const NO_RUNS: RunCounts = { new: 0, reused: 0, joined: 0, retried: 0 }
const UNSUCCESSFUL: readonly RunState[] = ['failed', 'cancelled', 'upstream-failed']

function fateOf(existing: ExistingRun | undefined, retryFailed: boolean): Fate {
  if (existing === undefined) return 'new'
  if (existing.state === 'succeeded') return 'reused'
  return retryFailed && UNSUCCESSFUL.includes(existing.state) ? 'retried' : 'joined'
}

export function planSubmission(plan: GridPlan, existing: ReadonlyMap<string, ExistingRun>, retryFailed: boolean): Submission {
  const drafts = new Map(plan.runs.map((draft) => [draft.id, draft]))
  const fates = new Map(plan.runs.map(({ id }) => [id, fateOf(existing.get(id), retryFailed)]))
  const isDone = (id: string) => fates.get(id) === 'reused'
  const roots = new Map<string, string>()
  for (const { id, upstream } of plan.runs) {
    const root = ownRoot(existing.get(id), fates.get(id)) ?? upstream.map((above) => roots.get(above)).find(Boolean)
    if (root !== undefined) roots.set(id, root)
  }
  const failedRoot = (id: string): NewRun['failedRoot'] => {
    const root = roots.get(id)
    return root === undefined ? null : { id: root, message: rootMessage(drafts.get(root), root, existing.get(root)?.state) }
  }
  const withFate = (fate: Fate) => plan.runs.filter(({ id }) => fates.get(id) === fate)
  const ready = (fate: Fate) =>
    withFate(fate)
      .filter(({ upstream }) => upstream.every(isDone))
      .map(({ id }) => id)
  return {
    newRuns: withFate('new').map((draft) => ({ draft, failedRoot: failedRoot(draft.id) })),
    retried: withFate('retried').map(({ id }) => id),
    readyNew: ready('new'),
    readyRetried: ready('retried'),
    paused: plan.runs.flatMap(({ id }) => (existing.get(id)?.state === 'paused' ? [id] : [])),
    leftFailed: retryFailed
      ? 0
      : plan.runs.filter(({ id }) => UNSUCCESSFUL.includes(existing.get(id)?.state ?? 'blocked')).length,
    ...countFates(plan.runs, fates),
  }
}

/** The root that an existing run hands down: itself where it failed, the one that it names where it is upstream-failed. */
function ownRoot(run: ExistingRun | undefined, fate: Fate | undefined): string | undefined {
  if (run === undefined || fate === 'retried') return undefined
  if (run.state === 'failed' || run.state === 'cancelled') return run.id
  return run.root_run_id ?? undefined
}

function rootMessage(draft: RunDraft | undefined, id: string, state: RunState | undefined): string {
  return `upstream run ${id.slice(0, 12)} (${draft ? runTitle(draft.spec) : 'unknown'}) ${state ?? 'failed'}`
}

function countFates(runs: readonly RunDraft[], fates: ReadonlyMap<string, Fate>): Pick<Submission, 'runs' | 'byKind'> {
  const count = (of: readonly RunDraft[]): RunCounts => {
    const counts: Record<Fate, number> = { ...NO_RUNS }
    for (const { id } of of) counts[fates.get(id) ?? 'joined']++
    return counts
  }
  const byKind = Object.fromEntries(RUN_KINDS.map((kind) => [kind, count(runs.filter((run) => run.kind === kind))]))
  return { runs: count(runs), byKind: byKind as Record<RunKind, RunCounts> }
}
