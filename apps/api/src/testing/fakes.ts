import type { FastifyBaseLogger } from 'fastify'
import type { GarbageOptions } from '#libs/artifacts'
import type { DatasetAddress, DatasetCheck } from '#libs/datasets'
import type { RunKind } from '#libs/experiments'
import {
  type DatasetStore,
  type GridResultRow,
  type GridStore,
  type GridSummary,
  type LabEvent,
  type LabReader,
  type LedgerRow,
  type RegisteredDataset,
  RUN_STATES,
  type RunDetail,
  type RunState,
  type StateCounts,
  type StoredMetric,
  type SubmitGrid,
  type SubmittedGrid,
  type WorkerView,
} from '#libs/runs'
import { createLogger, createRegistry } from '#libs/telemetry'
import { compare } from '../comparison/compare.ts'
import type { ApiDeps, ApiOptions } from '../deps.ts'
import { type FakeAccess, fakeAccess, paged } from './fake-access.ts'
import { type Acted, fakeControl, fakeSeries } from './fake-control.ts'
import { fakeObjects, NO_GARBAGE } from './fake-objects.ts'

const EMPTY_CHECK: DatasetCheck = {
  problem: null,
  changed: false,
  images: 0,
  patients: 0,
  splits: [],
  ehr: { sex: 0, age: 0, view: 0, position: 0, mortality: 0, icu: 0 },
  notes: {},
  warnings: [],
}

export const RUN_ID = 'a1b2c3d4e5f6'.padEnd(64, '0')
export const GRID_ID = '9f8e7d6c5b4a'.padEnd(64, '1')
const START = new Date('2026-01-02T03:04:05.678Z')

export function countsOf(changes: Partial<StateCounts> = {}): StateCounts {
  return { ...(Object.fromEntries(RUN_STATES.map((state) => [state, 0])) as Record<RunState, number>), ...changes }
}

export function byKind<T>(value: T): Record<RunKind, T> {
  return { prepare: value, pretrain: value, evaluate: value }
}

export function runOf(changes: Partial<RunDetail> = {}): RunDetail {
  return {
    id: RUN_ID,
    kind: 'prepare',
    state: 'succeeded',
    title: 'prepare nih',
    dataset: 'nih',
    attempts: 1,
    progress: { done: 3, total: 4, unit: 'images' },
    createdAt: START,
    startedAt: START,
    endedAt: null,
    message: null,
    // The routes pass specs on as they are.
    spec: { kind: 'prepare', dataset: 'nih' } as RunDetail['spec'],
    semantics: 1,
    upstream: [],
    downstream: 2,
    summary: { images: 4 },
    attemptList: [
      {
        id: 'at-1',
        number: 1,
        state: 'ended',
        ending: 'succeeded',
        message: null,
        worker: 'w',
        microBatch: null,
        startedAt: START,
        endedAt: START,
      },
    ],
    artifacts: [{ name: 'pack/index', sha256: 'f'.repeat(64), sizeBytes: 5 }],
    grids: [{ id: GRID_ID, name: 'demo' }],
    ...changes,
  }
}

export const pointOf = (changes: Partial<LedgerRow['point']> = {}): LedgerRow['point'] => ({
  index: 0,
  method: 'msn',
  backbone: 'vit-tiny',
  ehr: 'sex',
  ageEncoding: null,
  seed: 24,
  pretrainDataset: 'nih',
  dataset: 'nih',
  mode: 'linear',
  trainedOn: null,
  labels: 'findings',
  labelFraction: 1,
  evaluate: RUN_ID,
  pretrain: RUN_ID,
  ...changes,
})

/** Everything that the fakes answer from, and everything that was written to them. */
export interface FakeLab {
  readonly deps: ApiDeps
  readonly access: FakeAccess
  readonly submitted: SubmitGrid[]
  readonly registered: RegisteredDataset[]
  readonly fingerprinted: DatasetAddress[]
  readonly events: LabEvent[]
  readonly runs: RunDetail[]
  readonly results: GridResultRow[]
  readonly metrics: StoredMetric[]
  readonly workers: WorkerView[]
  /** Collections that were asked for. */
  readonly collections: Omit<GarbageOptions, 'references'>[]
  readonly files: Map<string, Buffer>
  /** Addresses of objects; without one the store is as a folder. */
  readonly presigned: Map<string, string>
  readonly acted: Acted[]
  /** Makes every question to the store fail. */
  breakStore(error: Error): void
  /** What the next submissions throw. */
  refuseSubmit(error: Error): void
  /** Adds an event and wakes the streams. */
  emit(event: Partial<LabEvent> & { readonly id: bigint }): void
  /** Streams that wait for an event right now. */
  waiting(): number
}

export const TEST_OPTIONS: ApiOptions = {
  auth: 'off',
  gridPointLimit: 50,
  bodyLimitBytes: 64 * 1024,
  datasetRoots: [],
  rateLimitPerMinute: 10_000,
  artifactDownloads: 'presigned',
  maxEventLoopDelayMs: 0,
}

export function fakeLab(): FakeLab {
  const state = {
    submitted: [] as SubmitGrid[],
    registered: [
      { name: 'nih', kind: 'nih14', fingerprint: '1'.repeat(64), root: '/secret/place', createdAt: START },
      { name: 'mimic', kind: 'mimic-cxr', fingerprint: '2'.repeat(64), root: '/secret/mimic', createdAt: START },
    ] as RegisteredDataset[],
    fingerprinted: [] as DatasetAddress[],
    events: [] as LabEvent[],
    runs: [runOf()],
    results: [] as GridResultRow[],
    metrics: [] as StoredMetric[],
    workers: [] as WorkerView[],
    collections: [] as FakeLab['collections'][number][],
    presigned: new Map<string, string>(),
    files: new Map([[`runs/${RUN_ID}/pack/index.json`, Buffer.from('{"a":1}')]]),
    acted: [] as Acted[],
  }
  const failures: { store?: Error; submit?: Error } = {}
  const wakers = new Set<() => void>()
  const access = fakeAccess()
  const { reader, waiting } = fakeReader(state, failures, wakers)
  const logger: FastifyBaseLogger = createLogger({ service: 'api', level: 'silent' })
  const deps: ApiDeps = {
    grids: fakeGrids(state, failures),
    datasets: fakeDatasets(state),
    reader,
    control: fakeControl(state.acted, state.runs),
    workers: { workers: async () => state.workers },
    series: fakeSeries(state.metrics),
    apiKeys: access.keys,
    audit: access.audit,
    objectStore: fakeObjects(state.files, state.presigned),
    collectGarbage: async (options) => {
      state.collections.push(options)
      return { ...NO_GARBAGE, deleted: options.dryRun ? 0 : 3 }
    },
    checkDataset: async () => EMPTY_CHECK,
    fingerprint: async (address) => {
      state.fingerprinted.push(address)
      return '3'.repeat(64)
    },
    compare: async (input) => compare(input),
    registry: createRegistry('api'),
    logger,
  }
  return {
    ...state,
    deps,
    access,
    breakStore: (error) => {
      failures.store = error
    },
    refuseSubmit: (error) => {
      failures.submit = error
    },
    emit: (event) => {
      state.events.push({ at: START, type: 'run.state', runId: RUN_ID, gridId: null, attemptId: null, data: {}, ...event })
      for (const wake of [...wakers]) wake()
    },
    waiting,
  }
}

type State = Omit<FakeLab, 'deps' | 'access' | 'breakStore' | 'refuseSubmit' | 'emit' | 'waiting'>

function fakeGrids(state: State, failures: { submit?: Error }): GridStore {
  return {
    async submit(input): Promise<SubmittedGrid> {
      if (failures.submit) throw failures.submit
      const again = state.submitted.some((before) => before.request.name === input.request.name && !before.dryRun)
      state.submitted.push(input)
      const counts = { new: input.plan.runs.length, reused: 0, joined: 0, retried: 0 }
      return {
        gridId: GRID_ID,
        created: !again && !input.dryRun,
        points: input.plan.points.length,
        runs: counts,
        byKind: byKind(counts),
        warnings: input.plan.warnings,
      }
    },
  }
}

function fakeDatasets({ registered }: State): DatasetStore {
  return {
    async register(dataset) {
      const stored = { ...dataset, createdAt: START }
      registered.push(stored)
      return stored
    },
    dataset: async (name) => registered.find((dataset) => dataset.name === name),
    datasets: async () => registered,
  }
}

function fakeReader(state: State, failures: { store?: Error }, wakers: Set<() => void>) {
  const grid: GridSummary = {
    id: GRID_ID,
    name: 'demo',
    owner: 'local',
    createdAt: START,
    points: 1,
    runs: countsOf({ succeeded: 1 }),
    ended: true,
  }
  const answer = async <T>(value: () => T): Promise<T> => {
    if (failures.store) throw failures.store
    return value()
  }
  const reader: LabReader = {
    grids: (page) => answer(() => paged([grid], page)),
    grid: (id) => answer(() => (id === GRID_ID ? { ...grid, byKind: byKind(grid.runs) } : undefined)),
    ledger: (_id, page) =>
      answer(() => paged([{ point: pointOf(), state: 'succeeded', pretrainState: 'succeeded', message: null }], page)),
    results: () => answer(() => state.results),
    runs: (filter, page) =>
      answer(() =>
        paged(
          state.runs.filter((run) => filter.state === undefined || run.state === filter.state),
          page,
        ),
      ),
    run: (id) => answer(() => state.runs.find((run) => run.id.startsWith(id))),
    resolveGrid: (id) => answer(() => (GRID_ID.startsWith(id) || id === grid.name ? GRID_ID : undefined)),
    metrics: (_id, { afterStep = -1, limit }) =>
      answer(() => state.metrics.filter(({ step }) => step > afterStep).slice(0, limit)),
    events: ({ after, runId, limit }) =>
      answer(() =>
        state.events.filter((event) => event.id > after && (runId === undefined || event.runId === runId)).slice(0, limit),
      ),
    why: () =>
      answer(() => ({
        state: 'queued',
        sentence: 'waits for a worker',
        waitsFor: [],
        runsAhead: 2,
        workersOfClass: 0,
        hold: null,
        start: { p50: 60, p90: 90 },
        rootCause: null,
      })),
    gauges: () =>
      answer(() => ({
        runs: byKind(countsOf({ running: 2 })),
        outboxRows: 1,
        outboxAgeSeconds: 0.5,
        queueAgeSeconds: 7,
        workersAlive: { cpu: 1 },
        openAttempts: { cpu: { running: 2 } },
        recentEndings: { lost: 1 },
        checkpointAgeSeconds: 90,
      })),
    waitForEvent: (_timeoutMs, signal) =>
      new Promise((resolve) => {
        const done = () => {
          wakers.delete(done)
          resolve()
        }
        wakers.add(done)
        signal.addEventListener('abort', done, { once: true })
      }),
  }
  return { reader, waiting: () => wakers.size }
}
