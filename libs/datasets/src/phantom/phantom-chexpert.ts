/** The phantom data set in the file layout of CheXpert-small. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import {
  csv,
  jpegFacts,
  labelCells,
  type PhantomJpegSize,
  type StudySplit,
  splitsOfPatients,
  writeJpeg,
} from './films-as-studies.ts'
import type { PhantomFilm } from './patients.ts'
import { placePhantom } from './place-phantom.ts'

/** The folder that the archive unpacks to stands before the paths of the tables. */
const ARCHIVE = 'CheXpert-v1.0-small'
const HEADER = ['Path', 'Sex', 'Age', 'Frontal/Lateral', 'AP/PA', ...CHEXPERT_LABELS]

const fileOf = ({ patient, followUp }: PhantomFilm, split: StudySplit) =>
  `${split}/patient${String(patient).padStart(5, '0')}/study${followUp + 1}/view1_frontal.jpg`

/** Makes the data set at `dir`. The same numbers give the same files. */
export const makePhantomChexpert = (dir: string, size: PhantomJpegSize): Promise<void> =>
  placePhantom(dir, size, jpegFacts('chexpert', size), async (root, films) => {
    const splits = splitsOfPatients(films)
    const filesOf = (split: StudySplit) => films.filter(({ patient }) => splits.get(patient) === split)
    for (const split of ['train', 'valid', 'test'] as const) {
      const rows = filesOf(split).map((film) => [
        ...[`${ARCHIVE}/${fileOf(film, split)}`, film.male ? 'Male' : 'Female', film.age, 'Frontal', film.ap ? 'AP' : 'PA'],
        ...labelCells(film),
      ])
      await writeFile(join(root, `${split}.csv`), csv(HEADER, rows))
    }
    for (const film of films) await writeJpeg(film, size, join(root, fileOf(film, splits.get(film.patient)!)))
  })
