/** One submission: parse, expand against the registered data sets, hand over to the store in one transaction. */
import { type DatasetFacts, expandGrid, parseGridRequest } from '#libs/experiments'
import type { SubmittedGrid } from '#libs/runs'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'

export interface Submission {
  readonly body: unknown
  readonly owner: string
  readonly idempotencyKey: string | null
  readonly dryRun: boolean
}

/** @throws GridInvalidError with every problem of the request; then nothing was written. */
export async function submitGrid(
  deps: Pick<ApiDeps, 'grids' | 'datasets'>,
  options: Pick<ApiOptions, 'gridPointLimit'>,
  submission: Submission,
): Promise<SubmittedGrid> {
  const request = parseGridRequest(submission.body)
  const registered = await deps.datasets.datasets()
  const facts = new Map<string, DatasetFacts>(
    registered.map(({ name, kind, fingerprint }) => [name, { name, kind, fingerprint }] as const),
  )
  const plan = expandGrid(request, facts, { limit: options.gridPointLimit })
  const { owner, idempotencyKey, dryRun } = submission
  return await deps.grids.submit({ request, plan, owner, idempotencyKey, dryRun })
}
