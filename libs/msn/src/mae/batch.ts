/** From augmented views and mask draws to the arrays of one MAE step. */
import { MsnInputError } from '../errors.ts'
import { keptPatches, oneHotPositions, type Uniform } from '../masks.ts'
import { type GreyImages, patchesOfGrey } from '../patches.ts'
import { type MaeConfig, maeLayout } from './config.ts'

/**
 * Arrays of one step, by the names of its signature; pure in the images and the draws.
 * @param maskDraws the mask's stream of image `sample`, 0-based in the batch
 * @throws MsnInputError where the images do not have the configured size
 */
export function maeBatch(
  config: MaeConfig,
  images: GreyImages,
  maskDraws: (sample: number) => Uniform,
): Record<string, Float32Array> {
  const { patches, kept, masked } = maeLayout(config, images.rows)
  const { patchPx, imagePx } = config.backbone
  if (images.sidePx !== imagePx) throw new MsnInputError('image', `images of ${images.sidePx} px, not ${imagePx} px`)
  const keptIds = new Int32Array(images.rows * kept)
  const maskedIds = new Int32Array(images.rows * masked)
  for (let row = 0; row < images.rows; row++) {
    const seen = keptPatches(maskDraws(row), patches, kept)
    const isSeen = new Set(seen)
    keptIds.set(seen, row * kept)
    maskedIds.set(
      Array.from({ length: patches }, (_, id) => id).filter((id) => !isSeen.has(id)),
      row * masked,
    )
  }
  return {
    'kept.patches': patchesOfGrey(images, patchPx, config.normalisation, keptIds),
    'kept.positions': oneHotPositions(keptIds, patches),
    'masked.patches': patchesOfGrey(images, patchPx, config.normalisation, maskedIds),
    'masked.positions': oneHotPositions(maskedIds, patches),
  }
}
