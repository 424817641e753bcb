/** Images as patch vectors, in plain typed arrays: only the kept patches are ever cut out. */
import type { Normalisation } from './config.ts'
import { MsnInputError } from './errors.ts'

/** Square images of one size. */
export interface GreyImages {
  readonly sidePx: number
  readonly rows: number
  /** [rows, sidePx, sidePx] grey levels 0..255. */
  readonly data: Float32Array
}

/** Which patches of each image to cut: [rows, kept] ids, 0-based and row-major. Null: all, in order. */
export type KeptIds = Int32Array | null

function checkImages(name: string, data: Float32Array, expected: number): void {
  if (data.length !== expected) throw new MsnInputError(name, `${data.length} values, not ${expected}`)
}

/** Calls `cut(row, slot, top, left)` for each patch to cut; slots count per row. @returns patches a row */
function forEachPatch(
  rows: number,
  sidePx: number,
  patchPx: number,
  ids: KeptIds,
  cut: (row: number, slot: number, top: number, left: number) => void,
): void {
  const grid = sidePx / patchPx
  const kept = ids ? ids.length / rows : grid * grid
  for (let row = 0; row < rows; row++) {
    for (let slot = 0; slot < kept; slot++) {
      const id = ids ? ids[row * kept + slot]! : slot
      cut(row, slot, Math.floor(id / grid) * patchPx, (id % grid) * patchPx)
    }
  }
}

/**
 * Patch vectors of grey images: the grey level is repeated to three channels and normalised, (level / 255 - mean) / std.
 * @returns [rows, kept, 3 * patchPx^2], each patch flattened as (channel, y, x), as a convolution's weight is
 * @throws MsnInputError where the data does not have rows * sidePx^2 values
 */
export function patchesOfGrey(images: GreyImages, patchPx: number, normalisation: Normalisation, ids: KeptIds): Float32Array {
  const { sidePx, rows, data } = images
  checkImages('images', data, rows * sidePx * sidePx)
  const area = patchPx * patchPx
  const kept = ids ? ids.length / rows : (sidePx / patchPx) ** 2
  const out = new Float32Array(rows * kept * 3 * area)
  const [m0, m1, m2] = normalisation.mean
  const [s0, s1, s2] = normalisation.std
  const g0 = 1 / (255 * s0)
  const g1 = 1 / (255 * s1)
  const g2 = 1 / (255 * s2)
  const o0 = -m0 / s0
  const o1 = -m1 / s1
  const o2 = -m2 / s2
  forEachPatch(rows, sidePx, patchPx, ids, (row, slot, top, left) => {
    let to = (row * kept + slot) * 3 * area
    for (let y = 0; y < patchPx; y++) {
      const from = (row * sidePx + top + y) * sidePx + left
      for (let x = 0; x < patchPx; x++, to++) {
        const level = data[from + x]!
        out[to] = level * g0 + o0
        out[to + area] = level * g1 + o1
        out[to + 2 * area] = level * g2 + o2
      }
    }
  })
  return out
}

/**
 * Patch vectors of already normalised images.
 * @param data [rows, 3, sidePx, sidePx]
 * @returns [rows, kept, 3 * patchPx^2]
 */
export function patchesOfChannels(data: Float32Array, rows: number, sidePx: number, patchPx: number, ids: KeptIds): Float32Array {
  checkImages('images', data, rows * 3 * sidePx * sidePx)
  const area = patchPx * patchPx
  const kept = ids ? ids.length / rows : (sidePx / patchPx) ** 2
  const out = new Float32Array(rows * kept * 3 * area)
  forEachPatch(rows, sidePx, patchPx, ids, (row, slot, top, left) => {
    for (let channel = 0; channel < 3; channel++) {
      const to = ((row * kept + slot) * 3 + channel) * area
      for (let y = 0; y < patchPx; y++) {
        const from = ((row * 3 + channel) * sidePx + top + y) * sidePx + left
        out.set(data.subarray(from, from + patchPx), to + y * patchPx)
      }
    }
  })
  return out
}
