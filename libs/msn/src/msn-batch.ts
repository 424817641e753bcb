/** From augmented views and mask draws to the arrays of one MSN step. */
import { type MsnConfig, msnLayout, type ViewLayout } from './config.ts'
import { MsnInputError } from './errors.ts'
import { keptPatches, oneHotPositions, type Uniform } from './masks.ts'
import { isMasked } from './msn-forward.ts'
import { type GreyImages, type KeptIds, patchesOfGrey } from './patches.ts'

export interface MsnViews {
  /** Full-size views, one an image. */
  readonly target: GreyImages
  readonly random: GreyImages
  /** Focal 0 of all images, then focal 1, ...; null without focal anchors. */
  readonly focal: GreyImages | null
  /** [batch, ehr width]; null for vanilla. */
  readonly ehr: Float32Array | null
  /**
   * The mask's stream of image `sample` (0-based in the batch) in `view` (1: random anchor, 2...: focal anchors). With a shared
   * mask only sample 0 is asked.
   */
  readonly maskDraws: (sample: number, view: number) => Uniform
}

/**
 * Arrays of one step, by the names of its signature; pure in the views and the draws.
 * @throws MsnInputError where a view or the EHR block does not have the configured size
 */
export function msnBatch(config: MsnConfig, views: MsnViews): Record<string, Float32Array> {
  const layout = msnLayout(config, views.target.rows)
  const arrays: Record<string, Float32Array> = {}
  const add = (name: 'target' | 'random' | 'focal', view: ViewLayout, images: GreyImages, firstView: number): void => {
    checkView(name, view, images, config.backbone.patchPx)
    const ids = isMasked(view) ? maskIds(config, view, layout.batch, firstView, views.maskDraws) : null
    arrays[`${name}.patches`] = patchesOfGrey(images, config.backbone.patchPx, config.normalisation, ids)
    if (ids) arrays[`${name}.positions`] = oneHotPositions(ids, view.patches)
  }
  add('target', layout.target, views.target, 0)
  add('random', layout.random, views.random, 1)
  if (layout.focal) {
    if (!views.focal) throw new MsnInputError('focal', 'no focal views, but the configuration asks for them')
    add('focal', layout.focal, views.focal, 2)
  }
  if (config.ehr) arrays.ehr = checkedEhr(views.ehr, layout.batch * config.ehr.width)
  return arrays
}

function checkView(name: string, view: ViewLayout, images: GreyImages, patchPx: number): void {
  if (images.rows !== view.rows || images.sidePx !== view.grid * patchPx) {
    const expected = `${view.rows} images of ${view.grid * patchPx} px`
    throw new MsnInputError(name, `${images.rows} images of ${images.sidePx} px, not ${expected}`)
  }
}

function checkedEhr(ehr: Float32Array | null, size: number): Float32Array {
  if (ehr?.length !== size) throw new MsnInputError('ehr', `${ehr?.length ?? 'no'} values, not ${size}`)
  return ehr
}

/** [rows, kept] ids. Rows go view after view, so row r is image r % batch of view firstView + floor(r / batch). */
function maskIds(
  config: MsnConfig,
  view: ViewLayout,
  batch: number,
  firstView: number,
  draws: MsnViews['maskDraws'],
): NonNullable<KeptIds> {
  const ids = new Int32Array(view.rows * view.kept)
  for (let row = 0; row < view.rows; row++) {
    const sample = config.mask.shared ? 0 : row % batch
    const uniform = draws(sample, firstView + Math.floor(row / batch))
    ids.set(keptPatches(uniform, view.patches, view.kept), row * view.kept)
  }
  return ids
}
