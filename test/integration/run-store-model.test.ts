/**
 * The model that libs/runs explores is worth what it has in common with the store: random histories are replayed on both, and
 * every answer and every state must agree.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunStore } from '#libs/run-store'
import type { AttemptEnding } from '#libs/runs'
import { firstState, type LabState, type ModelRef, type Topology } from '../../libs/runs/src/model/lab-state.ts'
import { PRODUCTION_RULES, StoreModel } from '../../libs/runs/src/model/store-model.ts'
import { freshDataset, type LabStore, openLabStore, resultOf, submission, WORKER } from './fixtures/lab-store.ts'

let lab: LabStore
let store: RunStore

beforeAll(async () => {
  lab = await openLabStore()
  store = lab.store
})
afterAll(() => lab?.close())

/** mulberry32: the same seed, the same history. */
function randomOf(seed: number): (below: number) => number {
  let at = seed
  return (below) => {
    at = (at + 0x6d2b79f5) | 0
    let t = Math.imul(at ^ (at >>> 15), 1 | at)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const ENDINGS: readonly AttemptEnding[] = [
  'succeeded',
  'succeeded',
  'crashed',
  'preempted',
  'paused',
  'cancelled',
  'out-of-memory',
  'spec-error',
]
const STEPS = 40

interface Pair {
  readonly ids: readonly string[]
  readonly model: StoreModel
  /** Leases that were given, with the attempt's id in the store: still good or not. */
  readonly refs: (ModelRef & { readonly attemptId: string })[]
}

async function begin(): Promise<Pair> {
  const grid = submission(await freshDataset(store), { ehr: ['vanilla', 'sex'] })
  await store.grids.submit(grid)
  const { runs } = grid.plan
  const topology: Topology = runs.map(({ upstream }) => upstream.map((id) => runs.findIndex((run) => run.id === id)))
  const state = firstState(topology, 2, 0, 0)
  return { ids: runs.map(({ id }) => id), model: new StoreModel(state, topology, PRODUCTION_RULES), refs: [] }
}

/** What of the model's state the store shows, too. */
const modelView = ({ runs }: LabState) =>
  runs.map(({ state, desired, fencing, attempts, live }) => [state, desired, fencing, attempts, live?.state ?? null])

async function storeView({ ids }: Pair) {
  const rows = await lab.sql<{ id: string; view: unknown[] }>(
    `SELECT r.id, jsonb_build_array(r.state, r.desired, r.fencing,
       (SELECT count(*) FROM attempt a WHERE a.run_id = r.id),
       (SELECT a.state FROM attempt a WHERE a.run_id = r.id AND a.state <> 'ended')) AS view
     FROM run r WHERE r.id = ANY($1)`,
    [ids],
  )
  return ids.map((id) => rows.find((row) => row.id === id)!.view)
}

type Act = (pair: Pair, pick: (below: number) => number) => Promise<readonly [unknown, unknown]>

const lease: Act = async ({ ids, model, refs }, pick) => {
  const run = pick(ids.length)
  const { attempts } = model.state.runs[run]!
  if (attempts === 0) return [0, 0]
  const number = 1 + pick(attempts)
  const { attemptList } = (await store.reader.run(ids[run]!))!
  const { id } = attemptList.find((attempt) => attempt.number === number)!
  const worker = pick(2)
  const token = model.lease(run, number, worker)
  const assignment = await store.attempts.lease(id, { ...WORKER, id: `model-${worker}` }, 60_000)
  if (token !== undefined) refs.push({ run, number, token, attemptId: id })
  return [token, assignment?.fencingToken]
}

const withRef =
  (act: (pair: Pair, ref: Pair['refs'][number], pick: (below: number) => number) => Promise<readonly [unknown, unknown]>): Act =>
  async (pair, pick) => {
    const ref = pair.refs[pick(Math.max(1, pair.refs.length))]
    return ref ? act(pair, ref, pick) : [0, 0]
  }

const refOf = ({ attemptId, token }: { attemptId: string; token: number }) => ({ attemptId, fencingToken: token })

const ACTS: Readonly<Record<string, Act>> = {
  lease,
  'lease again': lease,
  'lease once more': lease,
  start: withRef(async ({ model }, ref) => [model.start(ref), await store.attempts.start(refOf(ref))]),
  heartbeat: withRef(async ({ model }, ref) => {
    const expected = model.heartbeat(ref)
    const found = await store.attempts.heartbeat(refOf(ref), 60_000)
    return [expected.held ? expected : { ...expected, desired: 'run' }, found]
  }),
  end: withRef(async ({ model }, ref, pick) => {
    const ending = ENDINGS[pick(ENDINGS.length)]!
    return [model.end(ref, ending), (await store.attempts.end(refOf(ref), resultOf(ending))).accepted]
  }),
  expire: withRef(async ({ model }, ref) => {
    const held = await lab.sql(
      `UPDATE attempt SET lease_until = now() - interval '1 hour' WHERE id = $1 AND state IN ('leased', 'running') RETURNING id`,
      [ref.attemptId],
    )
    if (held.length > 0) model.expire(ref.run)
    return [held.length, await store.scheduler.expireLeases()]
  }),
  cancel: async ({ ids, model }, pick) => {
    const run = pick(ids.length)
    model.cancel(run)
    return [0, (await store.control.cancel({ runId: ids[run]! })).matched - 1]
  },
  pause: async ({ ids, model }, pick) => {
    const run = pick(ids.length)
    model.pause(run)
    return [0, (await store.control.pause({ runId: ids[run]! })).matched - 1]
  },
  resume: async ({ ids, model }, pick) => {
    const run = pick(ids.length)
    model.resume(run)
    return [0, (await store.control.resume({ runId: ids[run]! })).matched - 1]
  },
  retry: async ({ ids, model }, pick) => {
    const run = pick(ids.length)
    model.retry(run)
    return [0, (await store.control.retry({ runId: ids[run]! })).matched - 1]
  },
}

describe('model and store', () => {
  it.each(Array.from({ length: 25 }, (_, seed) => seed + 1))('agree on history %i', async (seed) => {
    const pick = randomOf(seed)
    const pair = await begin()
    const history: string[] = []
    expect(await storeView(pair)).toEqual(modelView(pair.model.state))
    for (let step = 0; step < STEPS; step++) {
      const names = Object.keys(ACTS)
      const name = names[pick(names.length)]!
      history.push(name)
      const [expected, found] = await ACTS[name]!(pair, pick)
      expect(found, history.join(', ')).toEqual(expected)
      expect(await storeView(pair), history.join(', ')).toEqual(modelView(pair.model.state))
    }
  })
})
