/** Position embeddings for another grid, as a constant matrix. */

/** Cubic convolution, a = -.75 (Keys 1981, eq. 4-5; the value that PyTorch's bicubic uses). */
const A = -0.75

function cubicWeight(distance: number): number {
  const d = Math.abs(distance)
  if (d <= 1) return (A + 2) * d ** 3 - (A + 3) * d ** 2 + 1
  if (d < 2) return A * d ** 3 - 5 * A * d ** 2 + 8 * A * d - 4 * A
  return 0
}

/**
 * Bicubic resampling of one axis: align_corners false, no antialias, indices clamped at the border.
 * @returns M [to, from], row-major; out[r, s] = sum_ij M[r, i] M[s, j] grid[i, j]
 */
export function resamplingMatrix(from: number, to: number): Float64Array {
  const matrix = new Float64Array(to * from)
  for (let row = 0; row < to; row++) {
    const source = ((row + 0.5) * from) / to - 0.5
    const left = Math.floor(source)
    for (let tap = left - 1; tap <= left + 2; tap++) {
      const column = Math.min(Math.max(tap, 0), from - 1)
      matrix[row * from + column]! += cubicWeight(source - tap)
    }
  }
  return matrix
}

/** Both axes at once: [to^2, from^2], row-major, for position rows in row-major patch order. */
export function gridMatrix(from: number, to: number): Float32Array {
  const axis = resamplingMatrix(from, to)
  const width = from * from
  const matrix = new Float32Array(to * to * width)
  for (let r = 0; r < to; r++)
    for (let s = 0; s < to; s++)
      for (let i = 0; i < from; i++)
        for (let j = 0; j < from; j++) matrix[(r * to + s) * width + i * from + j] = axis[r * from + i]! * axis[s * from + j]!
  return matrix
}
