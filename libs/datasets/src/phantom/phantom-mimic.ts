/** The phantom data set in the file layout of MIMIC-CXR-JPG, with a phantom of MIMIC-IV in its folder `mimic-iv`. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import { imagePath } from '../mimic/records.ts'
import { csv, jpegFacts, labelCells, type PhantomJpegSize, splitsOfPatients, writeJpeg } from './films-as-studies.ts'
import type { PhantomFilm } from './patients.ts'
import { placePhantom } from './place-phantom.ts'

const SUBJECT = 10_000_000
const STUDY = 50_000_000
const ADMISSION = 20_000_000
/** Year in which a patient is X-rayed, and the two days of an admission in it. */
const YEAR = 2150
const SPLIT_WORDS = { train: 'train', valid: 'validate', test: 'test' } as const

const METADATA = ['dicom_id', 'subject_id', 'study_id', 'ViewPosition', 'StudyDate', 'PatientOrientationCodeSequence_CodeMeaning']

/** Makes the data set at `dir`. The same numbers give the same files. */
export const makePhantomMimic = (dir: string, size: PhantomJpegSize): Promise<void> =>
  placePhantom(dir, size, jpegFacts('mimic-cxr', size), async (root, films) => {
    for (const [name, text] of Object.entries({ ...imageTables(films), ...stayTables(films) })) {
      await mkdir(dirname(join(root, name)), { recursive: true })
      await writeFile(join(root, name), text)
    }
    for (const [at, film] of films.entries()) {
      const { dicom, subject, study } = idsOf(film, at)
      await writeJpeg(film, size, join(root, imagePath(dicom, String(subject), String(study))))
    }
  })

function idsOf({ id, patient }: PhantomFilm, at: number) {
  const hex = createHash('sha256').update(id).digest('hex')
  const dicom = Array.from({ length: 5 }, (_, part) => hex.slice(8 * part, 8 * part + 8)).join('-')
  return { dicom, subject: SUBJECT + patient, study: STUDY + at }
}

const yearOf = (patient: number) => YEAR + (patient % 20)
/** One film a month. */
const dateOf = ({ patient, followUp }: PhantomFilm) => `${yearOf(patient)}${String(1 + (followUp % 12)).padStart(2, '0')}15`

function imageTables(films: readonly PhantomFilm[]): Record<string, string> {
  const splits = splitsOfPatients(films)
  const rows = films.map((film, at) => ({ film, ...idsOf(film, at) }))
  return {
    'mimic-cxr-2.0.0-metadata.csv': csv(
      METADATA,
      rows.map(({ film, dicom, subject, study }) => {
        const [view, position] = film.ap ? ['AP', 'Recumbent'] : ['PA', 'Erect']
        return [dicom, subject, study, view, dateOf(film), position]
      }),
    ),
    'mimic-cxr-2.0.0-split.csv': csv(
      ['dicom_id', 'study_id', 'subject_id', 'split'],
      rows.map(({ film, dicom, subject, study }) => [dicom, study, subject, SPLIT_WORDS[splits.get(film.patient)!]]),
    ),
    'mimic-cxr-2.0.0-chexpert.csv': csv(
      ['subject_id', 'study_id', ...CHEXPERT_LABELS],
      rows.map(({ film, subject, study }) => [subject, study, ...labelCells(film)]),
    ),
  }
}

/** Half of the patients are in hospital at their first film, some of them in an ICU, some die. */
function stayTables(films: readonly PhantomFilm[]): Record<string, string> {
  const patients = films.filter(({ followUp }) => followUp === 0)
  const admitted = patients.filter(({ patient }) => patient % 2 === 0)
  const inIcu = admitted.filter(({ patient }) => patient % 4 === 0)
  const from = ({ patient }: PhantomFilm) => `${yearOf(patient)}-01-14 11:00:00`
  const to = ({ patient }: PhantomFilm) => `${yearOf(patient)}-01-16 09:00:00`
  return {
    'mimic-iv/hosp/patients.csv': csv(
      ['subject_id', 'gender', 'anchor_age', 'anchor_year'],
      patients.map(({ patient, male, age }) => [SUBJECT + patient, male ? 'M' : 'F', age, yearOf(patient)]),
    ),
    'mimic-iv/hosp/admissions.csv': csv(
      ['subject_id', 'hadm_id', 'admittime', 'dischtime', 'hospital_expire_flag'],
      admitted.map((film) => [
        SUBJECT + film.patient,
        ADMISSION + film.patient,
        from(film),
        to(film),
        Number(film.patient % 10 === 0),
      ]),
    ),
    'mimic-iv/icu/icustays.csv': csv(
      ['subject_id', 'hadm_id', 'intime', 'outtime'],
      inIcu.map((film) => [SUBJECT + film.patient, ADMISSION + film.patient, from(film), to(film)]),
    ),
  }
}
