/** A square picture of one channel. */
export interface GreyImage {
  readonly sidePx: number
  /** [sidePx * sidePx] row-major grey levels 0..255. */
  readonly data: Uint8Array | Float32Array
}

/** Whole pixels. */
export interface CropBox {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

export const wholeBox = (sidePx: number): CropBox => ({ top: 0, left: 0, height: sidePx, width: sidePx })

/** The middle of a larger picture. */
export function centreBox(sidePx: number, cropPx: number): CropBox {
  const start = Math.round((sidePx - cropPx) / 2)
  return { top: start, left: start, height: cropPx, width: cropPx }
}
