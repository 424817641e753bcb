/** Submission of grids: one transaction each, one at a time. */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { GridPlan } from '#libs/experiments'
import {
  type GridStore,
  IdempotencyConflictError,
  type RunState,
  type SubmitGrid,
  type SubmittedGrid,
  UnknownDatasetError,
} from '#libs/runs'
import { moveInLine } from './control/priority.ts'
import { resumeRuns } from './control/resume.ts'
import type { Database, Sql, Tx } from './database.ts'
import { insertGrid, insertRuns } from './insert-grid.ts'
import { makeFirstAttempts, queueRuns, recordEvent } from './moves.ts'
import { restoreRuns } from './restore.ts'
import { type ExistingRun, planSubmission, type Submission } from './submission.ts'
import { takeSubmitTurn } from './submit-turn.ts'

const EXISTING = 'SELECT id, state, root_run_id FROM run WHERE id = ANY($1::text[])'
// Holds the states still until the commit: an upstream that ends meanwhile then sees the new dependents.
const LOCK_EXISTING = `${EXISTING} ORDER BY level, id FOR UPDATE`

// A run that two grids want goes as early as the more urgent one asks, and goes on where a stop was only asked for.
const JOIN_RUNS = `
  UPDATE run SET priority = GREATEST(priority, $2::int), desired = CASE WHEN desired = 'preempt' THEN desired ELSE 'run' END
  WHERE id = ANY($1::text[]) AND state <> 'succeeded' AND (priority < $2::int OR desired IN ('cancel', 'pause'))
  RETURNING id, state`

const sha256 = (value: unknown): string =>
  createHash('sha256')
    .update(canonicalize(value) as string)
    .digest('hex')

export function createGridStore(db: Database): GridStore {
  return {
    submit: (input) => (input.dryRun ? preview(db, input) : db.transaction((tx) => submit(tx, input))),
  }
}

function gridIdOf({ request, owner, plan }: SubmitGrid): string {
  return sha256({ name: request.name, owner, points: plan.points.map((point) => point.evaluate) })
}

async function preview(sql: Sql, input: SubmitGrid): Promise<SubmittedGrid> {
  const gridId = gridIdOf(input)
  await checkDatasets(sql, input.plan, '')
  await usedBefore(sql, input, gridId)
  const known = await gridExists(sql, gridId)
  return answer(input, gridId, !known, await decide(sql, input, EXISTING))
}

async function submit(tx: Tx, input: SubmitGrid): Promise<SubmittedGrid> {
  const gridId = gridIdOf(input)
  const { plan, owner, request, idempotencyKey } = input
  await takeSubmitTurn(tx)
  await checkDatasets(tx, plan, 'FOR SHARE')
  const keyKnown = await usedBefore(tx, input, gridId)
  const known = await gridExists(tx, gridId)
  // A grid that is known and retries nothing changes nothing: no row needs to be held.
  const submission = await decide(tx, input, known && !request.retryFailed ? EXISTING : LOCK_EXISTING)
  if (!known) {
    await insertRuns(tx, submission.newRuns, new Set(submission.readyNew), request)
    await insertGrid(tx, gridId, owner, request, plan)
  }
  if (!known || submission.retried.length > 0) await moveRuns(tx, gridId, known, input, submission)
  if (idempotencyKey !== null && !keyKnown) {
    await tx.rows(
      'INSERT INTO idempotency_key (owner, key, request_hash, grid_id) VALUES ($1::text, $2::text, $3::text, $4::text)',
      owner,
      idempotencyKey,
      requestHash(input, gridId),
      gridId,
    )
  }
  return answer(input, gridId, !known, submission)
}

async function moveRuns(
  tx: Tx,
  gridId: string,
  known: boolean,
  { plan, request }: SubmitGrid,
  submission: Submission,
): Promise<void> {
  const ids = plan.runs.map(({ id }) => id)
  recordEvent(tx, { type: 'grid.submitted', gridId, data: { points: plan.points.length, ...submission.runs } })
  if (known)
    await tx.rows(
      'UPDATE grid SET cancelled_at = NULL, paused_at = NULL WHERE id = $1::text AND (cancelled_at IS NOT NULL OR paused_at IS NOT NULL)',
      gridId,
    )
  if (submission.runs.joined + submission.runs.retried > 0) await joinRuns(tx, ids, request.priority)
  // The newest wish counts: what somebody paused goes on for the grid that wants it now.
  if (submission.paused.length > 0) await resumeRuns(tx, submission.paused)
  await restoreRuns(tx, submission.retried)
  await makeFirstAttempts(tx, submission.readyNew)
  await queueRuns(tx, submission.readyRetried)
  for (const { draft, failedRoot } of submission.newRuns) {
    if (failedRoot) recordEvent(tx, { type: 'run.upstream-failed', runId: draft.id, data: { root: failedRoot.id } })
  }
}

async function joinRuns(tx: Tx, runIds: readonly string[], priority: number): Promise<void> {
  const raised = await tx.rows<{ id: string; state: RunState }>(JOIN_RUNS, [...runIds], priority)
  await moveInLine(
    tx,
    raised.flatMap(({ id, state }) => (state === 'queued' ? [id] : [])),
  )
}

async function decide(sql: Sql, { plan, request }: SubmitGrid, query: string): Promise<Submission> {
  const rows = await sql.rows<ExistingRun>(
    query,
    plan.runs.map(({ id }) => id),
  )
  return planSubmission(plan, new Map(rows.map((row) => [row.id, row])), request.retryFailed)
}

/** @throws UnknownDatasetError where a data set is not, or no longer, what the plan was made for. */
async function checkDatasets(sql: Sql, plan: GridPlan, lock: '' | 'FOR SHARE'): Promise<void> {
  const wanted = new Map(plan.runs.flatMap(({ dataset }) => (dataset ? [[dataset.name, dataset.fingerprint]] : [])))
  const rows = await sql.rows<{ name: string; fingerprint: string }>(
    `SELECT name, fingerprint FROM dataset WHERE name = ANY($1::text[]) ORDER BY name ${lock}`,
    [...wanted.keys()],
  )
  const registered = new Map(rows.map(({ name, fingerprint }) => [name, fingerprint]))
  for (const [name, fingerprint] of wanted) if (registered.get(name) !== fingerprint) throw new UnknownDatasetError(name)
}

/** The grid is part of it: the same words about a data set with other contents are another request. */
const requestHash = ({ request }: SubmitGrid, gridId: string): string => sha256({ request, gridId })

/** Whether the key is known for this very request. @throws IdempotencyConflictError where it is known for another. */
async function usedBefore(sql: Sql, input: SubmitGrid, gridId: string): Promise<boolean> {
  if (input.idempotencyKey === null) return false
  const [used] = await sql.rows<{ request_hash: string }>(
    'SELECT request_hash FROM idempotency_key WHERE owner = $1::text AND key = $2::text',
    input.owner,
    input.idempotencyKey,
  )
  if (used && used.request_hash !== requestHash(input, gridId)) throw new IdempotencyConflictError(input.idempotencyKey)
  return used !== undefined
}

async function gridExists(sql: Sql, gridId: string): Promise<boolean> {
  return (await sql.rows('SELECT id FROM grid WHERE id = $1::text', gridId)).length > 0
}

function answer({ plan }: SubmitGrid, gridId: string, created: boolean, { runs, byKind, leftFailed }: Submission): SubmittedGrid {
  const failed =
    leftFailed === 0
      ? []
      : [`failed-before: ${leftFailed} of its runs ended without success before; retryFailed tries them again`]
  return { gridId, created, points: plan.points.length, runs, byKind, warnings: [...plan.warnings, ...failed] }
}
