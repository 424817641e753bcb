/** What data sets labelled by CheXpert's labeller have in common: films as studies, and pictures as JPEG of the size asked for. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import sharp from 'sharp'
import { CHEXPERT_LABELS } from '../chexpert-labels.ts'
import { drawChest, PHANTOM_SIDE_PX } from './draw-chest.ts'
import type { PhantomFilm, PhantomSize } from './patients.ts'

export interface PhantomJpegSize extends PhantomSize {
  /** Of each picture; real ones have some 2,500 x 3,000 pixels. */
  readonly widthPx?: number
  readonly heightPx?: number
}

const SIZE = { widthPx: 288, heightPx: 320 }
/** Every eighth patient that is not tested on is for validation, the first among them. */
const VALIDATION_EVERY = 8

/** Findings of the films that these data sets call otherwise. */
const RENAMED: Readonly<Record<string, string>> = {
  Effusion: 'Pleural Effusion',
  Pleural_Thickening: 'Pleural Other',
  Mass: 'Lung Lesion',
}

export type StudySplit = 'train' | 'valid' | 'test'

/** Split of each patient. */
export function splitsOfPatients(films: readonly PhantomFilm[]): ReadonlyMap<number, StudySplit> {
  const splits = new Map<number, StudySplit>()
  let others = 0
  for (const { patient, test } of films) {
    if (splits.has(patient)) continue
    if (test) splits.set(patient, 'test')
    else splits.set(patient, others++ % VALIDATION_EVERY === 0 ? 'valid' : 'train')
  }
  return splits
}

/** Cells of a film's labels, in the order of `columns`: 1.0 for a finding, 1.0 for No Finding where there is none, else empty. */
export function labelCells({ findings }: PhantomFilm, columns: readonly string[] = CHEXPERT_LABELS): string[] {
  const named = findings.map((finding) => RENAMED[finding] ?? finding).filter((finding) => columns.includes(finding))
  const positive = named.length > 0 ? named : ['No Finding']
  return columns.map((label) => (positive.includes(label) ? '1.0' : ''))
}

export const csv = (header: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  `${[header, ...rows].map((row) => row.join(',')).join('\n')}\n`

/** Writes the picture of a film. */
export async function writeJpeg(film: PhantomFilm, size: PhantomJpegSize, file: string): Promise<void> {
  const { widthPx, heightPx } = { ...SIZE, ...size }
  await mkdir(dirname(file), { recursive: true })
  await sharp(drawChest(film, size.seed), { raw: { width: PHANTOM_SIDE_PX, height: PHANTOM_SIDE_PX, channels: 1 } })
    .resize(widthPx, heightPx, { fit: 'fill' })
    .toColourspace('b-w')
    .jpeg({ quality: 90 })
    .toFile(file)
}

/** What the marker of the phantom holds beside its size. */
export const jpegFacts = (layout: string, size: PhantomJpegSize) => ({
  layout,
  widthPx: size.widthPx ?? SIZE.widthPx,
  heightPx: size.heightPx ?? SIZE.heightPx,
})
