import { z } from 'zod'
import { DATASET_KINDS } from '#libs/experiments'
import type { RegisteredDataset } from '#libs/runs'
import { isoTime } from './common.ts'

export const datasetInputSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'a name of lower-case letters, digits, ".", "_" and "-"'),
    kind: z.enum(DATASET_KINDS),
    root: z.string().min(1).max(4096).describe('absolute folder on the server, inside one of its DATASET_ROOTS'),
  })
  .meta({ id: 'NewDataset' })

/** The folder is left out: where patients' images lie is nobody's business but the server's. */
export const datasetSchema = z
  .object({ name: z.string(), kind: z.enum(DATASET_KINDS), fingerprint: z.string(), createdAt: isoTime })
  .meta({ id: 'Dataset' })

export function wireDataset(dataset: RegisteredDataset): z.input<typeof datasetSchema> {
  const { name, kind, fingerprint } = dataset
  return { name, kind, fingerprint, createdAt: dataset.createdAt.toISOString() }
}
