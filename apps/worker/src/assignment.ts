/** What the child is told, made of what the store leased. */
import { isAbsolute, relative } from 'node:path'
import { isBelowObject, isObjectAddress, NO_DATASET_OPTIONS, type RunSpec } from '#libs/experiments'
import type { Assignment, RegisteredDataset } from '#libs/runs'
import { type AssignmentMessage, assignmentSchema } from '#libs/training'

export type Prepared =
  | { readonly ok: true; readonly message: AssignmentMessage }
  | { readonly ok: false; readonly problem: string }

export interface AssignmentLimits {
  readonly checkpointEveryMs: number
  /** Folders and s3:// addresses; empty: every registered data set. */
  readonly datasetRoots: readonly string[]
}

/** Checks a leased assignment before a process is spent on it. `problem` is for the user: the run cannot succeed here. */
export function prepareAssignment(assignment: Assignment, limits: AssignmentLimits): Prepared {
  const { dataset, spec } = assignment
  if (spec.kind === 'prepare' && dataset && !addressesOf(dataset).every((one) => isAllowed(one, limits.datasetRoots))) {
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
      evaluate: spec.kind === 'evaluate' ? spec : null,
    })),
    dataset: dataset && {
      name: dataset.name,
      kind: dataset.kind,
      root: dataset.root,
      options: dataset.options ?? NO_DATASET_OPTIONS,
      fingerprint: dataset.fingerprint,
    },
    checkpointEveryMs: limits.checkpointEveryMs,
    microBatch: assignment.microBatch,
  })
  if (parsed.success) return { ok: true, message: parsed.data }
  const issue = parsed.error.issues[0]
  return {
    ok: false,
    problem: `this worker cannot read the stored run: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  }
}

function addressesOf({ root, options }: RegisteredDataset): string[] {
  return [root, options?.mimicIv, options?.split].filter((address) => typeof address === 'string')
}

function isAllowed(address: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true
  if (isObjectAddress(address)) return allowed.some((base) => isObjectAddress(base) && isBelowObject(base, address))
  return allowed.some((folder) => {
    const path = relative(folder, address)
    return !isObjectAddress(folder) && (path === '' || (!path.startsWith('..') && !isAbsolute(path)))
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
