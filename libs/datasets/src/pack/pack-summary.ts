/** Counts of a pack for the run's summary: no value of a single image. */
import { EHR_CATEGORIES, SPLITS } from '#libs/experiments'
import type { PackIndex } from './pack-index.ts'

const countOf = (codes: Uint8Array, code: number) => codes.reduce((sum, one) => sum + (one === code ? 1 : 0), 0)

/** Images by split, view and positive label, patients, and what the reader and the decoder left out. */
export function packSummary(index: PackIndex, notes: Readonly<Record<string, number>>, broken: number): Record<string, number> {
  const { columns, labelNames, count } = index
  const summary: Record<string, number> = { images: count, patients: new Set(columns.patient).size, sidePx: index.sidePx }
  SPLITS.forEach((split, code) => {
    summary[`split ${split}`] = countOf(columns.split, code)
  })
  EHR_CATEGORIES.view.forEach((view, code) => {
    const images = countOf(columns.view, code)
    if (images > 0) summary[`view ${view}`] = images
  })
  labelNames.forEach((label, place) => {
    let positive = 0
    for (let row = 0; row < count; row++) if (columns.labels[row * labelNames.length + place] === 1) positive++
    summary[`label ${label}`] = positive
  })
  return { ...summary, ...notes, 'broken images left out': broken }
}
