/** The share of the training images that an evaluation may learn from. */
import type { EvaluateSpec } from '#libs/experiments'
import { drawsOf, type Pack, permutation } from '#libs/training'

/**
 * Images of a random share of patients (or of images), in the order given; at least one. It depends on the pack and the seed
 * alone, so all models of a seed learn from the same images, and a smaller share lies within a larger one.
 */
export function labelFraction(
  pack: Pack,
  images: Int32Array,
  { seed, labelFraction: fraction, fractionBy }: Pick<EvaluateSpec, 'seed' | 'labelFraction' | 'fractionBy'>,
): Int32Array {
  if (fraction === 1) return images
  const unitOf = (index: number) => (fractionBy === 'patient' ? pack.columns.patient[index]! : index)
  const units = [...new Set(Array.from(images, unitOf))].sort((a, b) => a - b)
  const count = Math.max(1, Math.round(units.length * fraction))
  const order = permutation(drawsOf({ seed, purpose: 'label-fraction' }), units.length)
  const chosen = new Set(Array.from(order.subarray(0, count), (place) => units[place]!))
  return images.filter((index) => chosen.has(unitOf(index)))
}
