/**
 * Colour jitter of a grey picture, as torchvision's would act on three equal channels: brightness and contrast; saturation and
 * hue of grey do nothing.
 */
import type { Uniform } from '#libs/training'
import { between } from './random-crop.ts'

/** SimCLR's (Chen et al. 2020, appendix A): strength s gives factors 1 +- 0.8 s, applied to four views in five. */
const REACH = 0.8
const SHARE = 0.8

const level = (value: number) => Math.min(255, Math.max(0, value))

/** Changes `pixels` in place, in either order with the same probability. Draws four uniforms whatever comes of them. */
export function jitter(pixels: Float32Array, strength: number, uniform: Uniform): void {
  const applies = uniform() < SHARE
  const factors = [Math.max(0, 1 - REACH * strength), 1 + REACH * strength] as const
  const brightness = between(uniform, factors)
  const contrast = between(uniform, factors)
  const contrastFirst = uniform() < 0.5
  if (!applies) return
  if (contrastFirst) changeContrast(pixels, contrast)
  for (let i = 0; i < pixels.length; i++) pixels[i] = level(pixels[i]! * brightness)
  if (!contrastFirst) changeContrast(pixels, contrast)
}

/** Moves every level away from the mean, or towards it. */
function changeContrast(pixels: Float32Array, factor: number): void {
  let sum = 0
  for (let i = 0; i < pixels.length; i++) sum += pixels[i]!
  const mean = sum / pixels.length
  for (let i = 0; i < pixels.length; i++) pixels[i] = level(mean + (pixels[i]! - mean) * factor)
}
