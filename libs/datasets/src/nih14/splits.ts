/** The official lists, and the validation split that is cut from the first of them by patient. */
import type { Split } from '#libs/experiments'
import { drawsOf, permutation, SpecError } from '#libs/training'
import type { ReadOptions } from '../record.ts'
import { shortHash } from '../splits/crossing.ts'
import { TEST_LIST, TRAIN_VALIDATION_LIST } from './files.ts'
import type { Nih14Row } from './table.ts'

/** Image -> line of the list. */
export type ImageList = ReadonlyMap<string, number>

/** @throws SpecError for an image that is listed twice or an empty list. */
export function parseImageList(text: string, file: string): ImageList {
  const list = new Map<string, number>()
  text.split(/\r?\n/).forEach((raw, index) => {
    const id = raw.trim()
    if (id === '') return
    if (list.has(id)) throw new SpecError(`the image is listed already on line ${list.get(id)}`, { file, line: index + 1 })
    list.set(id, index + 1)
  })
  if (list.size === 0) throw new SpecError('the list is empty', { file })
  return list
}

/** @throws SpecError for an image in both lists, and for an entry without a row of the table. */
export function checkLists(trainValidation: ImageList, test: ImageList, rows: ReadonlyMap<string, Nih14Row>): void {
  for (const [id, line] of test) {
    const other = trainValidation.get(id)
    if (other !== undefined) {
      throw new SpecError(`the image also stands in ${TRAIN_VALIDATION_LIST}, line ${other}`, { file: TEST_LIST, line })
    }
  }
  for (const [file, list] of [[TRAIN_VALIDATION_LIST, trainValidation] as const, [TEST_LIST, test] as const]) {
    for (const [id, line] of list) if (!rows.has(id)) throw new SpecError('the image has no row in the table', { file, line })
  }
}

/**
 * Split of each listed patient: `validationFraction` of the train_val patients are drawn for validation (at least one, never
 * all), the rest trains.
 * @throws SpecError where a patient stands in both lists; up to three are named by short hashes.
 */
export function splitPatients(
  trainValidation: ReadonlySet<string>,
  test: ReadonlySet<string>,
  options: Pick<ReadOptions, 'validationFraction' | 'splitSeed'>,
): Map<string, Split> {
  const both = [...trainValidation].filter((patient) => test.has(patient))
  if (both.length > 0) {
    const named = both.slice(0, 3).map(shortHash).sort().join(', ')
    throw new SpecError(`${both.length} patients stand in both lists (SHA-256 of the ids begins with ${named})`, {
      file: TEST_LIST,
    })
  }
  const patients = [...trainValidation].sort()
  if (patients.length < 2) throw new SpecError('a validation split needs two patients at least', { file: TRAIN_VALIDATION_LIST })
  const order = permutation(drawsOf({ seed: options.splitSeed, purpose: 'validation-split' }), patients.length)
  const count = Math.min(patients.length - 1, Math.max(1, Math.round(patients.length * options.validationFraction)))
  const splits = new Map<string, Split>([...test].map((patient) => [patient, 'test']))
  order.forEach((index, rank) => {
    splits.set(patients[index]!, rank < count ? 'validation' : 'train')
  })
  return splits
}
