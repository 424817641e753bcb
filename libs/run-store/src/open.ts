/** Opens the store: one pool, the parts that api, scheduler and worker use. */
import {
  type ApiKeyStore,
  type AttemptStore,
  type AuditStore,
  type DatasetStore,
  type GridStore,
  type LabReader,
  type PlanningStore,
  POISON_WORKERS,
  RETRY_BUDGETS,
  type ReferenceReader,
  type RetryBudgets,
  type RetryPolicy,
  type RunControl,
  type SchedulerStore,
  type SeriesReader,
  type WorkerReader,
} from '#libs/runs'
import { createApiKeyStore } from './api-key-store.ts'
import { createAttemptStore } from './attempt-store.ts'
import { createAuditStore } from './audit-store.ts'
import { createRunControl } from './control/index.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { createDatasetStore } from './dataset-store.ts'
import { createGridStore } from './grid-store.ts'
import { createPlanningStore } from './planning-store.ts'
import { createLabReader } from './reader.ts'
import { createReferenceReader } from './reader-references.ts'
import { createSeriesReader } from './reader-series.ts'
import { createWorkerReader } from './reader-workers.ts'
import { createSchedulerStore } from './scheduler-store.ts'

export interface RunStore {
  readonly grids: GridStore
  readonly datasets: DatasetStore
  readonly attempts: AttemptStore
  readonly scheduler: SchedulerStore
  readonly planning: PlanningStore
  readonly reader: LabReader
  readonly control: RunControl
  readonly workers: WorkerReader
  readonly series: SeriesReader
  readonly references: ReferenceReader
  readonly apiKeys: ApiKeyStore
  readonly audit: AuditStore
  close(): Promise<void>
}

export interface RunStoreOptions extends DatabaseOptions {
  /** Budgets of retries in place of the ordinary ones, by ending. Workers and scheduler must be given the same. */
  readonly retryBudgets?: Partial<RetryBudgets>
  /** Workers that may be lost over one run before it is poison. */
  readonly poisonWorkers?: number
}

/** Connections are opened on demand; call assertSchema first. */
export async function openRunStore(options: RunStoreOptions): Promise<RunStore> {
  const db = openDatabase(options)
  const policy: RetryPolicy = {
    budgets: { ...RETRY_BUDGETS, ...options.retryBudgets },
    poisonWorkers: options.poisonWorkers ?? POISON_WORKERS,
  }
  return {
    grids: createGridStore(db),
    datasets: createDatasetStore(db),
    attempts: createAttemptStore(db, policy),
    scheduler: createSchedulerStore(db, policy),
    planning: createPlanningStore(db),
    reader: createLabReader(db),
    control: createRunControl(db),
    workers: createWorkerReader(db),
    series: createSeriesReader(db),
    references: createReferenceReader(db),
    apiKeys: createApiKeyStore(db),
    audit: createAuditStore(db),
    close: () => db.close(),
  }
}
