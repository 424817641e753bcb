import { z } from 'zod'
import { DATASET_KINDS, EHR_VARIABLES, SPLIT_RULES, SPLITS } from '#libs/experiments'
import type { RegisteredDataset } from '#libs/runs'
import { isoTime } from './common.ts'

const address = z.string().min(1).max(4096)

export const datasetInputSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'a name of lower-case letters, digits, ".", "_" and "-"'),
    kind: z.enum(DATASET_KINDS),
    root: address.describe('absolute folder on the server or s3:// address, inside one of its DATASET_ROOTS'),
    mimicIv: address.optional().describe('folder of MIMIC-IV, for the EHR variables of mimic-cxr; inside DATASET_ROOTS too'),
    split: address
      .optional()
      .describe('split table for mimic-cxr: dicom_id, study_id, subject_id, split; inside DATASET_ROOTS too'),
    splitRule: z.enum(SPLIT_RULES).optional().describe('default: file where a split table is given, else official'),
  })
  .meta({ id: 'NewDataset' })

/** Folders are left out: where patients' images lie is nobody's business but the server's. */
export const datasetSchema = z
  .object({
    name: z.string(),
    kind: z.enum(DATASET_KINDS),
    fingerprint: z.string(),
    splitRule: z.enum(SPLIT_RULES),
    mimicIv: z.boolean().describe('whether MIMIC-IV gives it EHR variables'),
    createdAt: isoTime,
  })
  .meta({ id: 'Dataset' })

export function wireDataset(dataset: RegisteredDataset): z.input<typeof datasetSchema> {
  const { name, kind, fingerprint, options } = dataset
  return {
    name,
    kind,
    fingerprint,
    splitRule: options?.splitRule ?? 'official',
    mimicIv: typeof options?.mimicIv === 'string',
    createdAt: dataset.createdAt.toISOString(),
  }
}

const count = z.int().min(0)
const counts = z.record(z.string(), count)

export const datasetCheckSchema = z
  .object({
    problem: z.string().nullable().describe('what keeps it from being prepared; nothing is counted then'),
    changed: z.boolean().describe('its files are no longer those that were registered'),
    images: count,
    patients: count,
    splits: z.array(
      z.object({ split: z.enum(SPLITS), images: count, patients: count, views: counts, positives: counts.describe('by label') }),
    ),
    ehr: z.record(z.enum(EHR_VARIABLES), count).describe('images of which the variable is known'),
    notes: counts.describe('what the reader left out or repaired'),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'DatasetCheck' })
