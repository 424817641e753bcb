/** Patch masks: which patches of a view are kept, and the one-hot rows that select their position embeddings. */

/** Uniform draws in [0, 1). */
export type Uniform = () => number

/**
 * floor((1 - m) x patches), unharmed by the rounding of 1 - m: .85 x 196 keeps 166, .85 x 20 keeps 17.
 * @param dropped share of the patches dropped, in [0, 1)
 */
export function keptCount(patches: number, dropped: number): number {
  // (1 - m) n is wrong by a few ulps at most, far less than the smallest distance of a meant product from an integer.
  return Math.floor((1 - dropped) * patches + 1e-9 * patches)
}

/**
 * `kept` of `patches` ids, 0-based and row-major, ascending (their order changes no output); a pure function of the draws.
 * Each patch is kept with the same probability.
 */
export function keptPatches(uniform: Uniform, patches: number, kept: number): Int32Array {
  const ids = Int32Array.from({ length: patches }, (_, i) => i)
  for (let i = 0; i < kept; i++) {
    const j = i + Math.floor(uniform() * (patches - i))
    const held = ids[i]!
    ids[i] = ids[j]!
    ids[j] = held
  }
  return ids.slice(0, kept).sort()
}

/**
 * @param ids [rows, kept] patch ids, row-major
 * @returns [rows, kept, patches], 1 at each row's patch
 */
export function oneHotPositions(ids: Int32Array, patches: number): Float32Array {
  const rows = new Float32Array(ids.length * patches)
  for (let i = 0; i < ids.length; i++) rows[i * patches + ids[i]!] = 1
  return rows
}
