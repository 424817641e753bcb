/** What the child is told, made of what the store leased. */
import { isAbsolute, relative } from 'node:path'
import type { RunSpec } from '#libs/experiments'
import type { Assignment } from '#libs/runs'
import { type AssignmentMessage, assignmentSchema } from '#libs/training'

export type Prepared =
  | { readonly ok: true; readonly message: AssignmentMessage }
  | { readonly ok: false; readonly problem: string }

export interface AssignmentLimits {
  readonly checkpointEveryMs: number
  /** Empty: every registered data set. */
  readonly datasetRoots: readonly string[]
}

/** Checks a leased assignment before a process is spent on it. `problem` is for the user: the run cannot succeed here. */
export function prepareAssignment(assignment: Assignment, limits: AssignmentLimits): Prepared {
  const { dataset, spec } = assignment
  if (spec.kind === 'prepare' && dataset && !isAllowed(dataset.root, limits.datasetRoots)) {
    return { ok: false, problem: `data set ${dataset.name} does not lie under the DATASET_ROOTS of the worker that took the run` }
  }
  const parsed = assignmentSchema.safeParse({
    type: 'assignment',
    attemptId: assignment.attemptId,
    runId: assignment.runId,
    spec,
    semantics: assignment.semantics,
    upstream: assignment.upstream.map(({ runId, kind, spec }) => ({
      runId,
      kind,
      pretrain: spec.kind === 'pretrain' ? spec : null,
    })),
    dataset: dataset && { name: dataset.name, kind: dataset.kind, root: dataset.root, fingerprint: dataset.fingerprint },
    checkpointEveryMs: limits.checkpointEveryMs,
  })
  if (parsed.success) return { ok: true, message: parsed.data }
  const issue = parsed.error.issues[0]
  return {
    ok: false,
    problem: `this worker cannot read the stored run: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  }
}

function isAllowed(root: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0 || !isAbsolute(root)) return true
  return allowed.some((folder) => {
    const path = relative(folder, root)
    return path === '' || (!path.startsWith('..') && !isAbsolute(path))
  })
}

/** Label values of the metrics: closed sets, whatever the run. */
export function labelsOf(
  spec: RunSpec,
  upstream: readonly { readonly spec: RunSpec }[],
): { readonly method: string; readonly backbone: string } {
  switch (spec.kind) {
    case 'prepare':
      return { method: 'prepare', backbone: 'none' }
    case 'pretrain':
      return { method: spec.method, backbone: spec.backbone.name }
    case 'evaluate': {
      const pretrain = upstream.find(({ spec }) => spec.kind === 'pretrain')?.spec
      return { method: spec.mode, backbone: pretrain?.kind === 'pretrain' ? pretrain.backbone.name : 'none' }
    }
  }
}
