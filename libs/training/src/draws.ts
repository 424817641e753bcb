/**
 * Random draws that keep no state: each stream is a pure function of its key, so a resumed run draws what an uninterrupted
 * one would (design section 6). Key -> 128-bit hash (cyrb128, public domain) -> sfc32 (Doty-Humphrey, PractRand).
 */

/** Uniform in [0, 1), 32 bits of it. */
export type Uniform = () => number

export interface DrawKey {
  readonly seed: number
  /** What is drawn: 'order', 'crop', 'mask', 'init', ... */
  readonly purpose: string
  readonly epoch?: number
  readonly sample?: string
  readonly view?: number
}

function hash128(text: string): [number, number, number, number] {
  let a = 1779033703
  let b = 3144134277
  let c = 1013904242
  let d = 2773480762
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = b ^ Math.imul(a ^ code, 597399067)
    b = c ^ Math.imul(b ^ code, 2869860233)
    c = d ^ Math.imul(c ^ code, 951274213)
    d = a ^ Math.imul(d ^ code, 2716044179)
  }
  a = Math.imul(c ^ (a >>> 18), 597399067)
  b = Math.imul(d ^ (b >>> 22), 2869860233)
  c = Math.imul(a ^ (c >>> 17), 951274213)
  d = Math.imul(b ^ (d >>> 19), 2716044179)
  a ^= b ^ c ^ d
  return [a >>> 0, (b ^ a) >>> 0, (c ^ a) >>> 0, (d ^ a) >>> 0]
}

export function drawsOf(key: DrawKey): Uniform {
  let [a, b, c, d] = hash128(`${key.seed}|${key.purpose}|${key.epoch ?? ''}|${key.sample ?? ''}|${key.view ?? ''}`)
  const next: Uniform = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t
    return (t >>> 0) / 2 ** 32
  }
  // sfc32 mixes its seed within about a dozen steps.
  for (let i = 0; i < 15; i++) next()
  return next
}

/** Fisher-Yates permutation of 0..count-1. */
export function permutation(uniform: Uniform, count: number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1))
    const held = order[i]!
    order[i] = order[j]!
    order[j] = held
  }
  return order
}

/** Standard normal by Box-Muller, two uniforms a value (the second value is thrown away to keep the stream simple). */
export function normal(uniform: Uniform): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
  return radius * Math.cos(2 * Math.PI * uniform())
}

/** Initial values depend on seed and parameter name alone, so every method and EHR set of a seed starts from the same backbone. */
export const initDraws =
  (seed: number) =>
  (parameter: string): Uniform =>
    drawsOf({ seed, purpose: 'init', sample: parameter })

/** Patch masks depend on seed, epoch, image and view, whatever batch the image comes in. */
export const maskDraws =
  (seed: number, epoch: number, sampleKeys: readonly string[]) =>
  (sample: number, view: number): Uniform =>
    drawsOf({ seed, purpose: 'mask', epoch, view, sample: sampleKeys[sample] ?? '' })
