/** Inputs for this package's tests. */

/** Numbers in offset +- scale by a linear congruential generator (the goldens' filler); `shape` row-major. */
export function filler(shape: readonly number[], seed: number, scale = 1, offset = 0): Float32Array {
  let state = seed >>> 0
  const next = (): number => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  next()
  next()
  const size = shape.reduce((product, dimension) => product * dimension, 1)
  return Float32Array.from({ length: size }, () => offset + (2 * next() - 1) * scale)
}
