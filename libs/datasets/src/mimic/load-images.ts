/** Loads and checks the tables of MIMIC-CXR-JPG. */
import { CHEXPERT_LABELS, uncertainCode } from '../chexpert-labels.ts'
import type { InventoryTable, ReadOptions } from '../record.ts'
import { quoted, type RowRule, type TableDatabase } from '../tables/table-database.ts'
import { categoryCode, DIGITS, MISSING_CODE } from './sql-fragments.ts'

const POSITION = 'PatientOrientationCodeSequence_CodeMeaning'
export const ID_COLUMNS = ['dicom_id', 'subject_id', 'study_id'] as const

const present = (column: string): RowRule => ({ column, broken: `${column} IS NULL`, problem: 'the cell is empty' })
export const idRule = (column: string): RowRule => ({
  column,
  broken: `NOT coalesce(regexp_full_match(${column}, '${DIGITS}'), false)`,
  problem: `the ${column} is not a number of up to eight digits`,
})

/** Ids become paths, so they may hold nothing else. */
export const IMAGE_ID_RULES: readonly RowRule[] = [
  present('dicom_id'),
  {
    column: 'dicom_id',
    broken: `NOT regexp_full_match(dicom_id, '[0-9A-Za-z][0-9A-Za-z._-]*')`,
    problem: 'the dicom_id is not a file name',
  },
  idRule('subject_id'),
  idRule('study_id'),
]

/**
 * Table `image`: line, dicom_id, subject_id, study_id, day (DATE; NULL where the cell is empty), view (NULL: one of the rare views
 * that are dropped) and position, as codes.
 * @throws SpecError with file, line and column.
 */
export async function loadImages(database: TableDatabase, table: InventoryTable): Promise<void> {
  await database.load('raw_metadata', table, [...ID_COLUMNS, 'ViewPosition', 'StudyDate', POSITION])
  await database.check('raw_metadata', table, [
    ...IMAGE_ID_RULES,
    {
      column: 'StudyDate',
      broken: `StudyDate IS NOT NULL AND (NOT regexp_full_match(StudyDate, '[0-9]{8}') OR try_strptime(StudyDate, '%Y%m%d') IS NULL)`,
      problem: 'the date is not one like 21800506',
    },
  ])
  await database.checkUnique('raw_metadata', table, 'dicom_id', 'the image')
  await database.run(`CREATE TABLE image AS
    SELECT rowid::INTEGER + 2 AS line, dicom_id, subject_id::INTEGER AS subject_id, study_id::INTEGER AS study_id,
      strptime(StudyDate, '%Y%m%d')::DATE AS day,
      CASE WHEN ViewPosition IS NULL THEN ${MISSING_CODE} ELSE ${categoryCode('view', 'ViewPosition')} END AS view,
      coalesce(${categoryCode('position', quoted(POSITION))}, ${MISSING_CODE}) AS position
    FROM raw_metadata`)
  await database.run('DROP TABLE raw_metadata')
}

/**
 * Table `label`: study_id and a code for each label. Labels are per study.
 * @throws SpecError with file, line and column.
 */
export async function loadLabels(
  database: TableDatabase,
  table: InventoryTable,
  uncertain: ReadOptions['uncertain'],
): Promise<void> {
  await database.load('raw_label', table, ['study_id', ...CHEXPERT_LABELS])
  const known = CHEXPERT_LABELS.map(
    (column): RowRule => ({
      column,
      broken: `${quoted(column)} IS NOT NULL AND coalesce(TRY_CAST(${quoted(column)} AS DOUBLE), 9) NOT IN (1, 0, -1)`,
      problem: 'the label is none of 1.0, 0.0, -1.0 and empty',
    }),
  )
  await database.check('raw_label', table, [idRule('study_id'), ...known])
  await database.checkUnique('raw_label', table, 'study_id', 'the study')
  const codes = CHEXPERT_LABELS.map(
    (column, at) =>
      `(CASE TRY_CAST(${quoted(column)} AS DOUBLE) WHEN 1 THEN 1 WHEN -1 THEN ${uncertainCode(uncertain)} ELSE 0 END)::UTINYINT AS label${at}`,
  )
  await database.run(`CREATE TABLE label AS SELECT study_id::INTEGER AS study_id, ${codes.join(', ')} FROM raw_label`)
  await database.run('DROP TABLE raw_label')
}
