/** From augmented views to the arrays of one DINO step. */
import { MsnInputError } from '../errors.ts'
import { type GreyImages, patchesOfGrey } from '../patches.ts'
import { type DinoConfig, type DinoViewLayout, dinoLayout } from './config.ts'

/** Rows: view 0 of all images, then view 1, ... */
export interface DinoViews {
  readonly global: GreyImages
  /** Null without local views. */
  readonly local: GreyImages | null
}

/**
 * Arrays of one step of `batch` images, by the names of its signature.
 * @throws MsnInputError where views do not have the configured number and size
 */
export function dinoBatch(config: DinoConfig, batch: number, views: DinoViews): Record<string, Float32Array> {
  const layout = dinoLayout(config, batch)
  const { patchPx } = config.backbone
  const patches = (name: string, { rows, grid }: DinoViewLayout, images: GreyImages | null): Float32Array => {
    if (images?.rows !== rows || images.sidePx !== grid * patchPx) {
      const found = images ? `${images.rows} images of ${images.sidePx} px` : 'no images'
      throw new MsnInputError(name, `${found}, not ${rows} images of ${grid * patchPx} px`)
    }
    return patchesOfGrey(images, patchPx, config.normalisation, null)
  }
  return {
    'global.patches': patches('global', layout.global, views.global),
    ...(layout.local && { 'local.patches': patches('local', layout.local, views.local) }),
  }
}
