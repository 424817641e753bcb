/** Small copies of MIMIC-CXR-JPG and MIMIC-IV for tests: tables as given, one grey picture for all images. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import { imagePath } from './records.ts'

export interface MadeImage {
  readonly dicom: string
  readonly subject: number
  readonly study: number
  readonly date?: string
  readonly view?: string
  readonly position?: string
  readonly split?: string
}

export interface MadeMimic {
  readonly images: readonly MadeImage[]
  /** [subject, gender, anchor_age, anchor_year] */
  readonly patients?: readonly (readonly [number, string, number, number])[]
  /** [subject, hadm_id, admittime, dischtime, hospital_expire_flag] */
  readonly admissions?: readonly (readonly [number, number, string, string, number])[]
  /** [subject, intime, outtime] */
  readonly icustays?: readonly (readonly [number, string, string])[]
  /** Cells of a study's labels; absent: No Finding. */
  readonly labels?: Readonly<Record<number, Readonly<Partial<Record<(typeof CHEXPERT_LABELS)[number], string>>> | null>>
}

const table = (header: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  `${[header, ...rows].map((row) => row.join(',')).join('\n')}\n`

export const METADATA_COLUMNS = [
  ...['dicom_id', 'subject_id', 'study_id', 'PerformedProcedureStepDescription', 'ViewPosition', 'Rows', 'Columns', 'StudyDate'],
  ...[
    'StudyTime',
    'ProcedureCodeSequence_CodeMeaning',
    'ViewCodeSequence_CodeMeaning',
    'PatientOrientationCodeSequence_CodeMeaning',
  ],
]

export function mimicTables(made: MadeMimic): Record<string, string> {
  const { images, patients = [], admissions = [], icustays = [], labels = {} } = made
  const studies = [...new Map(images.map((image) => [image.study, image])).values()].filter(({ study }) => labels[study] !== null)
  return {
    'mimic-cxr-2.0.0-metadata.csv': table(
      METADATA_COLUMNS,
      images.map(({ dicom, subject, study, date = '21800506', view = 'PA', position = '' }) => [
        ...[dicom, subject, study, 'CHEST (PA AND LAT)', view, 3056, 2544, date],
        ...['213014.531', 'CHEST (PA AND LAT)', 'postero-anterior', position],
      ]),
    ),
    'mimic-cxr-2.0.0-split.csv': table(
      ['dicom_id', 'study_id', 'subject_id', 'split'],
      images.map(({ dicom, study, subject, split = 'train' }) => [dicom, study, subject, split]),
    ),
    // The columns stand in the order of the real table, which is not that of docs/method.md throughout.
    'mimic-cxr-2.0.0-chexpert.csv': table(
      ['subject_id', 'study_id', ...[...CHEXPERT_LABELS].reverse()],
      studies.map(({ subject, study }) => {
        const cells = labels[study] ?? { 'No Finding': '1.0' }
        return [subject, study, ...[...CHEXPERT_LABELS].reverse().map((label) => cells[label] ?? '')]
      }),
    ),
    'mimic-iv/hosp/patients.csv': table(
      ['subject_id', 'gender', 'anchor_age', 'anchor_year', 'anchor_year_group', 'dod'],
      patients.map((row) => [...row, '2011 - 2013', '']),
    ),
    'mimic-iv/hosp/admissions.csv': table(
      ['subject_id', 'hadm_id', 'admittime', 'dischtime', 'deathtime', 'race', 'hospital_expire_flag'],
      admissions.map(([subject, id, from, to, died]) => [subject, id, from, to, '', '"OTHER, UNKNOWN"', died]),
    ),
    'mimic-iv/icu/icustays.csv': table(
      ['subject_id', 'hadm_id', 'stay_id', 'intime', 'outtime', 'los'],
      icustays.map(([subject, from, to], at) => [subject, 20000000 + at, 30000000 + at, from, to, 1]),
    ),
  }
}

export const imageFile = ({ dicom, subject, study }: MadeImage): string => imagePath(dicom, String(subject), String(study))

/** Writes the tables, packed where `gzip`, and an image for each row of the metadata. */
export async function writeMimic(root: string, made: MadeMimic, { gzip = false } = {}): Promise<void> {
  for (const [name, text] of Object.entries(mimicTables(made))) {
    const path = join(root, gzip ? `${name}.gz` : name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, gzip ? gzipSync(text) : text)
  }
  const picture = await sharp({ create: { width: 48, height: 40, channels: 3, background: '#606060' } })
    .jpeg()
    .toBuffer()
  for (const image of made.images) {
    const path = join(root, imageFile(image))
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, picture)
  }
}
