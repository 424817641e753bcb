/** One image, a path or its bytes, to one square of grey levels. */
import sharp from 'sharp'
import type { PrepareSpec } from '#libs/experiments'

/** Sets the process-wide knobs of sharp for a pass over many files. */
export function tuneDecoder(): void {
  // Images are decoded side by side; threads within one image would only get in each other's way.
  sharp.concurrency(1)
  // Every file is read once.
  sharp.cache(false)
}

/**
 * Grey levels [sidePx * sidePx]. The short side becomes sidePx and the middle is kept (`centre-crop`), or the long side does and
 * black is added (`pad`). 16-bit levels are scaled to 8 bits, colour becomes luminance, transparency stands on black.
 * @throws where the file cannot be decoded to its end.
 */
export async function decodeImage(image: string | Uint8Array, sidePx: number, fit: PrepareSpec['fit']): Promise<Uint8Array> {
  const { data, info } = await sharp(image, { failOn: 'warning', limitInputPixels: 2 ** 28 })
    .flatten({ background: '#000000' })
    .toColourspace('b-w')
    .resize(sidePx, sidePx, {
      fit: fit === 'pad' ? 'contain' : 'cover',
      position: 'centre',
      background: '#000000',
      kernel: 'linear',
    })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  if (info.channels === 1) return data
  // A padded image comes with an alpha channel of its own.
  return Uint8Array.from({ length: sidePx * sidePx }, (_, i) => data[i * info.channels]!)
}
