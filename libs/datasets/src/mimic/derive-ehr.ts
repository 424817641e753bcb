/** EHR variables of MIMIC-CXR images from the raw tables of MIMIC-IV (docs/method.md, "MIMIC EHR derivation"). */
import type { RowRule, TableDatabase } from '../tables/table-database.ts'
import { idRule } from './load-images.ts'
import { categoryCode, codeOf } from './sql-fragments.ts'
import type { MimicIvTables } from './tables.ts'

/** Ages that the derivation can give: patients are adults, and MIMIC-IV writes 91 for everybody above 89. */
export const AGE_YEARS = { youngest: 16, oldest: 100 } as const

const wholeNumber = (column: string): RowRule => ({
  column,
  broken: `NOT coalesce(regexp_full_match(${column}, '[0-9]{1,4}'), false)`,
  problem: `the ${column} is not a whole number`,
})
const time = (column: string): RowRule => ({
  column,
  broken: `${column} IS NOT NULL AND TRY_CAST(${column} AS TIMESTAMP) IS NULL`,
  problem: 'the time is not one like 2180-05-06 22:23:00',
})

/**
 * Tables `patient` (subject_id, sex, birth_year), `admission` (subject_id, admitted, hadm_id, first_day, last_day, died) and
 * `icu_stay` (subject_id, first_day, last_day). A stay without an end holds no day.
 * @throws SpecError with file, line and column.
 */
export async function loadMimicIv(database: TableDatabase, tables: MimicIvTables): Promise<void> {
  await loadPatients(database, tables)
  await loadAdmissions(database, tables)
  await loadIcuStays(database, tables)
}

async function loadPatients(database: TableDatabase, { patients }: MimicIvTables): Promise<void> {
  await database.load('raw_patient', patients, ['subject_id', 'gender', 'anchor_age', 'anchor_year'])
  await database.check('raw_patient', patients, [
    idRule('subject_id'),
    { column: 'gender', broken: `gender NOT IN ('M', 'F')`, problem: 'the gender is neither M nor F nor empty' },
    wholeNumber('anchor_age'),
    wholeNumber('anchor_year'),
  ])
  await database.checkUnique('raw_patient', patients, 'subject_id', 'the patient')
  await database.run(`CREATE TABLE patient AS
    SELECT subject_id::INTEGER AS subject_id, ${categoryCode('sex', 'gender', ['M', 'F'])} AS sex,
      anchor_year::SMALLINT - anchor_age::SMALLINT AS birth_year
    FROM raw_patient`)
  await database.run('DROP TABLE raw_patient')
}

async function loadAdmissions(database: TableDatabase, { admissions }: MimicIvTables): Promise<void> {
  const columns = ['subject_id', 'hadm_id', 'admittime', 'dischtime', 'hospital_expire_flag']
  await database.load('raw_admission', admissions, columns)
  await database.check('raw_admission', admissions, [
    idRule('subject_id'),
    idRule('hadm_id'),
    time('admittime'),
    time('dischtime'),
    {
      column: 'hospital_expire_flag',
      broken: `coalesce(hospital_expire_flag, '') NOT IN ('0', '1')`,
      problem: 'the flag is neither 0 nor 1',
    },
  ])
  await database.run(`CREATE TABLE admission AS
    SELECT subject_id::INTEGER AS subject_id, hadm_id::INTEGER AS hadm_id, admittime::TIMESTAMP AS admitted,
      admittime::TIMESTAMP::DATE AS first_day, dischtime::TIMESTAMP::DATE AS last_day,
      CASE hospital_expire_flag WHEN '1' THEN ${codeOf('mortality', 'died')} ELSE ${codeOf('mortality', 'alive')} END AS died
    FROM raw_admission`)
  await database.run('DROP TABLE raw_admission')
}

async function loadIcuStays(database: TableDatabase, { icustays }: MimicIvTables): Promise<void> {
  await database.load('raw_icu_stay', icustays, ['subject_id', 'intime', 'outtime'])
  await database.check('raw_icu_stay', icustays, [idRule('subject_id'), time('intime'), time('outtime')])
  await database.run(`CREATE TABLE icu_stay AS
    SELECT subject_id::INTEGER AS subject_id, intime::TIMESTAMP::DATE AS first_day, outtime::TIMESTAMP::DATE AS last_day
    FROM raw_icu_stay`)
  await database.run('DROP TABLE raw_icu_stay')
}

/**
 * Table `stay_day` (subject_id, day, mortality, icu) for each day on which a patient was X-rayed.
 *
 * Days, not times: the day of admission and the day of discharge both lie within. Where several admissions hold the day, the one
 * that began last tells the outcome (of those that began at once, the highest id). One row a patient and day keeps the two range
 * joins an eighth smaller than one an image would.
 */
const STAY_DAYS = `CREATE TABLE stay_day AS
  WITH study_day AS (SELECT DISTINCT subject_id, day FROM image WHERE day IS NOT NULL),
  outcome AS (
    SELECT d.subject_id, d.day, arg_max(a.died, (a.admitted, a.hadm_id)) AS died
    FROM study_day d JOIN admission a ON a.subject_id = d.subject_id AND d.day BETWEEN a.first_day AND a.last_day
    GROUP BY ALL),
  in_icu AS (
    SELECT DISTINCT d.subject_id, d.day
    FROM study_day d JOIN icu_stay s ON s.subject_id = d.subject_id AND d.day BETWEEN s.first_day AND s.last_day)
  SELECT d.subject_id, d.day, coalesce(o.died, ${codeOf('mortality', 'alive')}) AS mortality,
    CASE WHEN i.day IS NULL THEN ${codeOf('icu', 'not_icu')} ELSE ${codeOf('icu', 'icu')} END AS icu
  FROM study_day d
  LEFT JOIN outcome o USING (subject_id, day)
  LEFT JOIN in_icu i ON i.subject_id = d.subject_id AND i.day = d.day`

/**
 * Table `ehr`, one row an image: line, sex (code; NULL where the patient has none), age (years; NULL without a patient or a
 * date) and mortality and icu (codes; NULL without a date). Needs `image` and the three tables of `loadMimicIv`.
 */
const EHR = `CREATE TABLE ehr AS
  SELECT i.line, p.sex, year(i.day) - p.birth_year AS age, s.mortality, s.icu
  FROM image i
  LEFT JOIN patient p USING (subject_id)
  LEFT JOIN stay_day s ON s.subject_id = i.subject_id AND s.day = i.day`

export async function deriveEhr(database: TableDatabase): Promise<void> {
  await database.run(STAY_DAYS)
  await database.run(EHR)
}

/** Table `ehr` of a data set without MIMIC-IV: everything is missing. */
export async function unknownEhr(database: TableDatabase): Promise<void> {
  await database.run(`CREATE TABLE ehr AS
    SELECT line, NULL::UTINYINT AS sex, NULL::INTEGER AS age, NULL::UTINYINT AS mortality, NULL::UTINYINT AS icu FROM image`)
}
