/** Writes the phantom data set in the file layout of NIH ChestX-ray14. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { SpecError } from '#libs/training'
import { TEST_LIST, TRAIN_VALIDATION_LIST } from '../nih14/files.ts'
import { NO_FINDING } from '../nih14/labels.ts'
import { drawChest, PHANTOM_SIDE_PX } from './draw-chest.ts'
import { type PhantomFilm, type PhantomSize, phantomFilms } from './patients.ts'

const MARKER = 'phantom.json'
/** Raised when the same numbers give other files. */
const VERSION = 1
const HEADER =
  'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'

/**
 * Makes the data set at `dir`, whole or not at all. The same numbers give the same files; an identical phantom is left alone and
 * another one is replaced.
 * @throws SpecError where the numbers make no data set, or the folder holds something else.
 */
export async function makePhantomNih(dir: string, { images, patients, seed }: PhantomSize): Promise<void> {
  if (!Number.isSafeInteger(images) || !Number.isSafeInteger(patients) || patients < 3 || images < patients) {
    throw new SpecError('a phantom needs three patients at least, and an image for each', { field: 'images' })
  }
  const marker = `${JSON.stringify({ phantom: VERSION, images, patients, seed })}\n`
  const standing = await readFile(join(dir, MARKER), 'utf8').catch(() => undefined)
  if (standing === marker) return
  const entries = await readdir(dir).catch(() => [])
  if (standing === undefined && entries.length > 0) {
    throw new SpecError('the folder for the phantom holds other files', { field: 'dir' })
  }
  const partial = `${dir}.partial`
  await rm(partial, { recursive: true, force: true })
  await writeFiles(partial, phantomFilms({ images, patients, seed }), seed)
  await writeFile(join(partial, MARKER), marker)
  await rm(dir, { recursive: true, force: true })
  await mkdir(dirname(dir), { recursive: true })
  await rename(partial, dir)
}

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
