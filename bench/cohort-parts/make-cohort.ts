/** Random tables of the true size of MIMIC-CXR-JPG and MIMIC-IV, written by DuckDB. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { CHEXPERT_LABELS } from '#libs/datasets'

const PATIENTS = 300_000
const ADMISSIONS = 430_000
const ICU_STAYS = 73_000
/** Patients and studies of MIMIC-CXR, for 377,110 images. */
const XRAYED = 65_379
const IMAGES_A_STUDY = 1.655

/** Writes the tables below `root`, packed as they are downloaded, and returns their names. */
export async function makeCohort(root: string, images: number): Promise<string[]> {
  for (const folder of ['mimic-iv/hosp', 'mimic-iv/icu']) mkdirSync(join(root, folder), { recursive: true })
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  await connection.run('SELECT setseed(0.5)')
  await connection.run(`CREATE TABLE image AS
    SELECT format('{:08x}-{:08x}-{:08x}-{:08x}-{:08x}', i, hash(i) % 4294967296, hash(i + 1) % 4294967296,
        hash(i + 2) % 4294967296, hash(i + 3) % 4294967296) AS dicom_id,
      50000000 + (i / ${IMAGES_A_STUDY})::INTEGER AS study_id
    FROM range(${images}) t(i)`)
  await connection.run(`CREATE TABLE study AS
    SELECT study_id, 10000000 + (hash(study_id) % ${XRAYED} * 4)::INTEGER AS subject_id, hash(study_id * 7) % 3650 AS day
    FROM (SELECT DISTINCT study_id FROM image)`)
  const written: string[] = []
  for (const [file, query] of Object.entries(TABLES)) {
    await connection.run(`COPY (${query}) TO '${join(root, file)}' (HEADER, COMPRESSION gzip)`)
    written.push(file)
  }
  connection.closeSync()
  instance.closeSync()
  return written
}

const pick = (values: readonly string[], by: string) =>
  `(list_value(${values.map((one) => `'${one}'`).join(', ')}))[(1 + (${by}) % ${values.length})::BIGINT]`
const stamp = (days: string) =>
  `strftime(TIMESTAMP '2150-01-01' + INTERVAL (${days}) DAY + INTERVAL ((hash(i) % 1440)::INTEGER) MINUTE, '%Y-%m-%d %H:%M:%S')`

const TABLES: Readonly<Record<string, string>> = {
  'mimic-cxr-2.0.0-metadata.csv.gz': `SELECT dicom_id, subject_id, study_id, 'CHEST (PA AND LAT)' AS PerformedProcedureStepDescription,
      ${pick(['PA', 'AP', 'LATERAL', 'LL', '', 'PA', 'AP', 'AP'], 'hash(dicom_id)')} AS ViewPosition, 3056 AS "Rows", 2544 AS "Columns",
      strftime(DATE '2150-01-01' + day::INTEGER, '%Y%m%d') AS StudyDate, 213014.531 AS StudyTime,
      'CHEST (PA AND LAT)' AS ProcedureCodeSequence_CodeMeaning, 'postero-anterior' AS ViewCodeSequence_CodeMeaning,
      ${pick(['Erect', 'Recumbent', 'Erect', ''], 'hash(study_id + 5)')} AS PatientOrientationCodeSequence_CodeMeaning
    FROM image JOIN study USING (study_id) ORDER BY subject_id, study_id, dicom_id`,
  'mimic-cxr-2.0.0-split.csv.gz': `SELECT dicom_id, study_id, subject_id,
      ${pick([...new Array<string>(37).fill('train'), 'test', 'validate', 'test'], 'hash(subject_id)')} AS split
    FROM image JOIN study USING (study_id) ORDER BY subject_id, study_id, dicom_id`,
  'mimic-cxr-2.0.0-chexpert.csv.gz': `SELECT subject_id, study_id, ${CHEXPERT_LABELS.map(
    (label, at) => `${pick(['1.0', '', '', '', '0.0', '-1.0'], `hash(study_id + ${at})`)} AS "${label}"`,
  ).join(', ')} FROM study ORDER BY subject_id, study_id`,
  'mimic-iv/hosp/patients.csv.gz': `SELECT 10000000 + i AS subject_id, ${pick(['F', 'M'], 'hash(i)')} AS gender,
      18 + hash(i * 3) % 73 AS anchor_age, 2150 + hash(i * 5) % 10 AS anchor_year, '2011 - 2013' AS anchor_year_group, '' AS dod
    FROM range(${PATIENTS}) t(i)`,
  'mimic-iv/hosp/admissions.csv.gz': `SELECT 10000000 + hash(i) % ${PATIENTS} AS subject_id, 20000000 + i AS hadm_id,
      ${stamp('(hash(i * 11) % 3650)::INTEGER')} AS admittime, ${stamp('(hash(i * 11) % 3650 + hash(i) % 12)::INTEGER')} AS dischtime,
      '' AS deathtime, 'EW EMER.' AS admission_type, 'EMERGENCY ROOM' AS admission_location, 'HOME' AS discharge_location,
      'Medicare' AS insurance, 'ENGLISH' AS language, 'MARRIED' AS marital_status, 'WHITE, OTHER' AS race, '' AS edregtime,
      '' AS edouttime, (hash(i * 13) % 40 = 0)::INTEGER AS hospital_expire_flag
    FROM range(${ADMISSIONS}) t(i)`,
  'mimic-iv/icu/icustays.csv.gz': `SELECT 10000000 + hash(i * 17) % ${PATIENTS} AS subject_id, 20000000 + i AS hadm_id, 30000000 + i AS stay_id,
      'Medical Intensive Care Unit (MICU)' AS first_careunit, 'Medical Intensive Care Unit (MICU)' AS last_careunit,
      ${stamp('(hash(i * 19) % 3650)::INTEGER')} AS intime, ${stamp('(hash(i * 19) % 3650 + hash(i) % 6)::INTEGER')} AS outtime, 2.5 AS los
    FROM range(${ICU_STAYS}) t(i)`,
}
