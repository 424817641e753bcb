/** Bootstrap resamples as weights: how often each image is drawn. */

/** Uniform in [0, 1), supplied by the caller: the same stream gives the same resamples. */
export type Uniform = () => number

export type ResampleUnit = 'image' | 'patient'

/**
 * Draws resamples with replacement. Patients are the default elsewhere: images of one patient are not independent, and a
 * resample by images gives intervals that are too narrow.
 */
export class Resampler {
  /** [images] unit of each image, 0..units-1. */
  readonly #unitOf: Int32Array
  readonly #drawn: Uint16Array
  readonly #weights: Uint16Array
  readonly #uniform: Uniform

  constructor(patients: ArrayLike<number>, unit: ResampleUnit, uniform: Uniform) {
    const codes = new Map<number, number>()
    this.#unitOf = Int32Array.from({ length: patients.length }, (_, image) => {
      if (unit === 'image') return image
      const patient = patients[image]!
      const known = codes.get(patient)
      if (known !== undefined) return known
      codes.set(patient, codes.size)
      return codes.size - 1
    })
    this.#drawn = new Uint16Array(unit === 'image' ? patients.length : codes.size)
    this.#weights = new Uint16Array(patients.length)
    this.#uniform = uniform
  }

  /** Number of units a resample draws: as many as there are. */
  get units(): number {
    return this.#drawn.length
  }

  /** The next resample, [images]; the array is overwritten by the next call. */
  next(): Uint16Array {
    const drawn = this.#drawn.fill(0)
    const units = drawn.length
    for (let i = 0; i < units; i++) drawn[Math.floor(this.#uniform() * units)]!++
    const weights = this.#weights
    for (let image = 0; image < weights.length; image++) weights[image] = drawn[this.#unitOf[image]!]!
    return weights
  }
}
