/** Puts a phantom data set where it belongs, whole or not at all. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SpecError } from '#libs/training'
import { type PhantomFilm, type PhantomSize, phantomFilms } from './patients.ts'

const MARKER = 'phantom.json'
/** Raised when the same numbers give other files. */
const VERSION = 1

/** What beside its size tells one phantom from another. */
type Facts = Readonly<Record<string, string | number>>

/**
 * Calls `write` with an empty folder and the films, and puts that folder at `dir`. An identical phantom is left alone and another
 * one is replaced.
 * @throws SpecError where the numbers make no data set, or the folder holds something else.
 */
export async function placePhantom(
  dir: string,
  { images, patients, seed }: PhantomSize,
  facts: Facts,
  write: (root: string, films: readonly PhantomFilm[]) => Promise<void>,
): Promise<void> {
  if (!Number.isSafeInteger(images) || !Number.isSafeInteger(patients) || patients < 3 || images < patients) {
    throw new SpecError('a phantom needs three patients at least, and an image for each', { field: 'images' })
  }
  const marker = `${JSON.stringify({ phantom: VERSION, images, patients, seed, ...facts })}\n`
  const standing = await readFile(join(dir, MARKER), 'utf8').catch(() => undefined)
  if (standing === marker) return
  const entries = await readdir(dir).catch(() => [])
  if (standing === undefined && entries.length > 0) {
    throw new SpecError('the folder for the phantom holds other files', { field: 'dir' })
  }
  const partial = `${dir}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true })
  await write(partial, phantomFilms({ images, patients, seed }))
  await writeFile(join(partial, MARKER), marker)
  await rm(dir, { recursive: true, force: true })
  await mkdir(dirname(dir), { recursive: true })
  await rename(partial, dir)
}
