/** Opens the store: one pool, the parts that api, scheduler and worker use. */
import type { AttemptStore, DatasetStore, GridStore, LabReader, RunControl, SchedulerStore } from '#libs/runs'
import { createAttemptStore } from './attempt-store.ts'
import { createRunControl } from './control.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { createDatasetStore } from './dataset-store.ts'
import { createGridStore } from './grid-store.ts'
import { createLabReader } from './reader.ts'
import { createSchedulerStore } from './scheduler-store.ts'

export interface RunStore {
  readonly grids: GridStore
  readonly datasets: DatasetStore
  readonly attempts: AttemptStore
  readonly scheduler: SchedulerStore
  readonly reader: LabReader
  readonly control: RunControl
  close(): Promise<void>
}

/** Connections are opened on demand; call assertSchema first. */
export async function openRunStore(options: DatabaseOptions): Promise<RunStore> {
  const db = openDatabase(options)
  return {
    grids: createGridStore(db),
    datasets: createDatasetStore(db),
    attempts: createAttemptStore(db),
    scheduler: createSchedulerStore(db),
    reader: createLabReader(db),
    control: createRunControl(db),
    close: () => db.close(),
  }
}
