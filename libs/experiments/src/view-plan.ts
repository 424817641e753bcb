/** Which views of each image a pretraining asks for. */
import type { TrainedPretrainSpec } from './spec.ts'

type Views = TrainedPretrainSpec['views']

/** Views that are drawn alike; the options are those of the spec (spec-fields.ts). */
export interface ViewGroup extends Pick<Views, 'ratio' | 'flip' | 'affine' | 'colourJitter' | 'blur' | 'greyscale'> {
  readonly name: string
  /** Views an image, at least 1. */
  readonly count: number
  readonly sidePx: number
  /** Area share of the crop. */
  readonly scale: Views['ratio']
}

/**
 * Groups in a fixed order, empty ones left out. Views are numbered through all groups from 0, and an image's draws depend on that
 * number: MSN's target is 0, the random anchor 1, focal anchors 2...; DINO's global views come first, then the local ones.
 */
export function viewPlan({ backbone, ...spec }: TrainedPretrainSpec): ViewGroup[] {
  const { ratio, flip, affine, colourJitter, blur, greyscale } = spec.views
  const options = { ratio, flip, affine, colourJitter, blur, greyscale }
  const group = (name: string, count: number, sidePx: number, scale: Views['ratio']) => ({
    name,
    count,
    sidePx,
    scale,
    ...options,
  })
  const groups = () => {
    switch (spec.method) {
      case 'msn': {
        const { randomScale, focalScale, focalCount, focalPx } = spec.views
        return [
          group('target', 1, backbone.imagePx, randomScale),
          group('random', 1, backbone.imagePx, randomScale),
          group('focal', focalCount, focalPx, focalScale),
        ]
      }
      case 'dino': {
        const { globalCount, globalScale, localCount, localPx, localScale } = spec.views
        return [group('global', globalCount, backbone.imagePx, globalScale), group('local', localCount, localPx, localScale)]
      }
      case 'mae':
        return [group('image', 1, backbone.imagePx, spec.views.scale)]
    }
  }
  return groups().filter(({ count }) => count > 0)
}
