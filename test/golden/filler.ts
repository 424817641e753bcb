/** The deterministic filler that the golden files name their inputs with. */

/** How one array of a golden file is filled. */
export interface FillRule {
  readonly shape: readonly number[]
  readonly seed: number
  readonly scale: number
  readonly offset?: number
}

/** Row-major offset + (2u - 1) * scale in doubles, u from a 32-bit linear congruence whose first two draws are discarded. */
export function fill({ shape, seed, scale, offset = 0 }: FillRule): Float32Array {
  let state = seed >>> 0
  const next = (): number => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  next()
  next()
  const size = shape.reduce((product, side) => product * side, 1)
  return Float32Array.from({ length: size }, () => offset + (2 * next() - 1) * scale)
}
