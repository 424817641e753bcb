/** A registration's options on their way from the database to the pack. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openObjectStore } from '#libs/artifacts'
import { fingerprintDataset, makePhantomMimic, openPack, preparePack } from '#libs/datasets'
import { EHR_CATEGORIES, NO_DATASET_OPTIONS } from '#libs/experiments'
import { assignmentSchema } from '#libs/training'
import { prepareAssignment } from '../../apps/worker/src/assignment.ts'
import { idOf, type LabStore, LEASE_MS, openLabStore, submission, WORKER, waitingAttempt } from './fixtures/lab-store.ts'

let lab: LabStore
let home: string
beforeAll(async () => {
  lab = await openLabStore()
  home = await mkdtemp(join(tmpdir(), 'cohort-'))
  await makePhantomMimic(join(home, 'mimic'), { images: 40, patients: 24, seed: 2 })
})
afterAll(async () => {
  await lab.close()
  await rm(home, { recursive: true, force: true })
})

const root = () => join(home, 'mimic')
const options = () => ({ mimicIv: join(root(), 'mimic-iv'), split: null, splitRule: 'icu' }) as const

it('a data set registered with MIMIC-IV and rule icu becomes a pack with stays, split by ICU patients', async () => {
  const address = { kind: 'mimic-cxr', root: root(), options: options() } as const
  const fingerprint = await fingerprintDataset(address)
  await lab.store.datasets.register({ name: 'cohort', ...address, fingerprint })
  const grid = submission({ name: 'cohort', kind: 'mimic-cxr', fingerprint })
  await lab.store.grids.submit(grid)
  const runId = idOf(grid, 'prepare')
  const assignment = await lab.store.attempts.lease(await waitingAttempt(lab.store, runId), WORKER, LEASE_MS)
  expect(assignment?.dataset?.options).toEqual(options())

  const outside = prepareAssignment(assignment!, { checkpointEveryMs: 1000, datasetRoots: [join(root(), 'files')] })
  expect(outside).toMatchObject({ ok: false, problem: expect.stringMatching('DATASET_ROOTS') })
  const prepared = prepareAssignment(assignment!, { checkpointEveryMs: 1000, datasetRoots: [home] })
  if (!prepared.ok) throw new Error(prepared.problem)
  const { dataset, spec, semantics } = assignmentSchema.parse(JSON.parse(JSON.stringify(prepared.message)))
  if (!dataset || spec.kind !== 'prepare') throw new Error('the assignment is of another kind')
  const store = await openObjectStore(`file://${home}/store`)
  await preparePack({ store, runId, semantics, dataset, spec, onProgress: () => {}, stopRequested: () => false })

  const { columns } = await openPack(store, runId, { semantics, memoryBudgetBytes: 0 })
  const died = EHR_CATEGORIES.mortality.indexOf('died')
  expect(columns.mortality.includes(died)).toBe(true)
  expect(columns.mortality.every((code) => code < EHR_CATEGORIES.mortality.length)).toBe(true)
  // Six of 24 patients were in an ICU: one of them validates, one tests.
  const patients = [0, 1, 2].map((split) => new Set(columns.patient.filter((_, row) => columns.split[row] === split)).size)
  expect(patients).toEqual([22, 1, 1])
})

it('options are part of a registration: other ones move it, and none is none', async () => {
  const { datasets } = lab.store
  const plain = { name: 'plain', kind: 'mimic-cxr', root: '/data/a', fingerprint: 'c'.repeat(64) } as const
  expect((await datasets.register(plain)).options).toEqual(NO_DATASET_OPTIONS)
  const moved = { ...NO_DATASET_OPTIONS, mimicIv: '/data/iv' }
  expect((await datasets.register({ ...plain, options: moved })).options).toEqual(moved)
  expect((await datasets.dataset('plain'))?.options).toEqual(moved)
  const [row] = await lab.sql<{ options: object }>("SELECT options FROM dataset WHERE name = 'plain'")
  expect(row?.options).toEqual(moved)
})
