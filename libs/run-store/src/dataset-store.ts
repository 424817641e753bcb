/** Registered data sets: a name stands for contents, and keeps standing for them once runs refer to it. */
import { type DatasetKind, type DatasetOptions, datasetOptionsSchema } from '#libs/experiments'
import { DatasetConflictError, type DatasetStore, type RegisteredDataset } from '#libs/runs'
import type { Database, Tx } from './database.ts'

export interface DatasetRow {
  readonly name: string
  readonly kind: DatasetKind
  readonly root: string
  readonly fingerprint: string
  readonly options: unknown
  readonly created_at: Date
}

export const DATASET_COLUMNS = 'name, kind, root, fingerprint, options, created_at'

/** Registrations of before options existed have none. */
export const toDataset = ({ created_at, options, ...row }: DatasetRow): RegisteredDataset => ({
  ...row,
  options: datasetOptionsSchema.parse(options),
  createdAt: created_at,
})

const sameOptions = (a: DatasetOptions, b: DatasetOptions) =>
  a.mimicIv === b.mimicIv && a.split === b.split && a.splitRule === b.splitRule

export function createDatasetStore(db: Database): DatasetStore {
  return {
    register: (dataset) => db.transaction((tx) => register(tx, dataset)),
    async dataset(name) {
      const [row] = await db.rows<DatasetRow>(`SELECT ${DATASET_COLUMNS} FROM dataset WHERE name = $1::text`, name)
      return row && toDataset(row)
    },
    async datasets() {
      return (await db.rows<DatasetRow>(`SELECT ${DATASET_COLUMNS} FROM dataset ORDER BY name`)).map(toDataset)
    },
  }
}

async function register(tx: Tx, dataset: Omit<RegisteredDataset, 'createdAt'>): Promise<RegisteredDataset> {
  const { name, kind, root, fingerprint } = dataset
  const options = datasetOptionsSchema.parse(dataset.options ?? {})
  const values = [name, kind, root, fingerprint, JSON.stringify(options)]
  await tx.rows(
    `INSERT INTO dataset (name, kind, root, fingerprint, options)
      VALUES ($1::text, $2::text, $3::text, $4::text, $5::jsonb) ON CONFLICT DO NOTHING`,
    ...values,
  )
  const [row] = await tx.rows<DatasetRow>(`SELECT ${DATASET_COLUMNS} FROM dataset WHERE name = $1::text FOR UPDATE`, name)
  if (!row) throw new Error(`data set "${name}" vanished while it was registered`)
  const known = toDataset(row)
  const same = row.kind === kind && row.root === root && row.fingerprint === fingerprint
  if (same && sameOptions(known.options ?? options, options)) return known
  // The same contents elsewhere are the same data set; other contents would change the meaning of runs.
  if (row.kind !== kind || row.fingerprint !== fingerprint) await refuseWhereUsed(tx, name)
  const [changed] = await tx.rows<DatasetRow>(
    `UPDATE dataset SET kind = $2::text, root = $3::text, fingerprint = $4::text, options = $5::jsonb
      WHERE name = $1::text RETURNING ${DATASET_COLUMNS}`,
    ...values,
  )
  return toDataset(changed ?? row)
}

async function refuseWhereUsed(tx: Tx, name: string): Promise<void> {
  const [{ used } = { used: false }] = await tx.rows<{ used: boolean }>(
    'SELECT EXISTS (SELECT 1 FROM run WHERE dataset_name = $1::text) AS used',
    name,
  )
  if (used) throw new DatasetConflictError(name, 'has other contents now, and runs refer to it: register it under a new name')
}
