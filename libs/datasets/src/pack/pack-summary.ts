/** Counts of a pack for the run's summary: no value of a single image. */
import { EHR_CATEGORIES, SPLITS } from '#libs/experiments'
import type { PackIndex } from './pack-index.ts'

const countOf = (codes: Uint8Array, code: number) => codes.reduce((sum, one) => sum + (one === code ? 1 : 0), 0)

/**
 * Images by split, view and positive label, patients, what the reader and the decoder left out, and, as a warning, the labels that no
 * image of a split has.
 */
export function packSummary(
  index: PackIndex,
  notes: Readonly<Record<string, number>>,
  broken: number,
): Record<string, number | string> {
  const { columns, labelNames, count } = index
  const summary: Record<string, number | string> = {
    images: count,
    patients: new Set(columns.patient).size,
    sidePx: index.sidePx,
  }
  SPLITS.forEach((split, code) => {
    summary[`split ${split}`] = countOf(columns.split, code)
  })
  EHR_CATEGORIES.view.forEach((view, code) => {
    const images = countOf(columns.view, code)
    if (images > 0) summary[`view ${view}`] = images
  })
  const positives = positivesBySplit(index)
  labelNames.forEach((label, place) => {
    summary[`label ${label}`] = positives.reduce((sum, one) => sum + one[place]!, 0)
  })
  SPLITS.forEach((split, code) => {
    const without = labelNames.filter((_, place) => positives[code]![place] === 0)
    if (without.length > 0) summary[`warning: no positive in ${split}`] = without.join(', ')
  })
  return { ...summary, ...notes, 'broken images left out': broken }
}

/** [splits][labels] */
function positivesBySplit({ columns, labelNames, count }: PackIndex): Uint32Array[] {
  const width = labelNames.length
  const positives = SPLITS.map(() => new Uint32Array(width))
  for (let row = 0; row < count; row++) {
    const own = positives[columns.split[row]!]!
    for (let place = 0; place < width; place++) if (columns.labels[row * width + place] === 1) own[place]! += 1
  }
  return positives
}
