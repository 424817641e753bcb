/** The phantom data set in the file layout of NIH ChestX-ray14. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { TEST_LIST, TRAIN_VALIDATION_LIST } from '../nih14/files.ts'
import { NO_FINDING } from '../nih14/labels.ts'
import { drawChest, PHANTOM_SIDE_PX } from './draw-chest.ts'
import type { PhantomFilm, PhantomSize } from './patients.ts'
import { placePhantom } from './place-phantom.ts'

const HEADER =
  'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'

/**
 * Makes the data set at `dir`. The same numbers give the same files.
 * @throws SpecError where the numbers make no data set, or the folder holds something else.
 */
export const makePhantomNih = (dir: string, size: PhantomSize): Promise<void> =>
  placePhantom(dir, size, {}, (root, films) => writeFiles(root, films, size.seed))

async function writeFiles(root: string, films: readonly PhantomFilm[], seed: number): Promise<void> {
  const folder = join(root, 'images_001/images')
  await mkdir(folder, { recursive: true })
  const raw = { width: PHANTOM_SIDE_PX, height: PHANTOM_SIDE_PX, channels: 1 } as const
  for (const film of films) {
    await sharp(drawChest(film, seed), { raw }).toColourspace('b-w').png().toFile(join(folder, film.id))
  }
  const list = (test: boolean) => films.flatMap((film) => (film.test === test ? [`${film.id}\n`] : [])).join('')
  await writeFile(join(root, 'Data_Entry_2017.csv'), `${[HEADER, ...films.map(rowOf)].join('\n')}\n`)
  await writeFile(join(root, TRAIN_VALIDATION_LIST), list(false))
  await writeFile(join(root, TEST_LIST), list(true))
}

function rowOf({ id, findings, followUp, patient, age, male, ap }: PhantomFilm): string {
  const labels = findings.length > 0 ? findings.join('|') : NO_FINDING
  const size = `${PHANTOM_SIDE_PX},${PHANTOM_SIDE_PX},0.5,0.5`
  return [id, labels, followUp, patient, age, male ? 'M' : 'F', ap ? 'AP' : 'PA', size].join(',')
}
