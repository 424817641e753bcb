/** The normal distribution, accurate to double precision far into the tails. */

const SQRT_PI = Math.sqrt(Math.PI)

/** erf by its Maclaurin-like series 2/sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (2n+1)!! (Abramowitz & Stegun 7.1.6): no cancellation. */
function erfSeries(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / SQRT_PI) * Math.exp(-x * x) * sum
}

/** erfc for x >= 2 by the continued fraction of Abramowitz & Stegun 7.1.14, evaluated from its far end. */
function erfcFraction(x: number): number {
  let tail = 0
  for (let k = 120; k >= 1; k--) tail = k / 2 / (x + tail)
  return Math.exp(-x * x) / (SQRT_PI * (x + tail))
}

/** Complementary error function; relative error below 1e-13 for every x. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x)
  return x < 2 ? 1 - erfSeries(x) : erfcFraction(x)
}

/** Probability that a standard normal lies at least |z| from 0. */
export const twoSidedNormalP = (z: number): number => erfc(Math.abs(z) / Math.SQRT2)

/**
 * z such that a standard normal lies within +-z with this probability: 1.95996... for .95.
 * Newton's method on twoSidedNormalP, which is convex and falling for z > 0, so that it cannot overshoot from the left.
 */
export function normalTwoSidedQuantile(confidence: number): number {
  const outside = 1 - confidence
  let z = 0
  for (let i = 0; i < 100; i++) {
    const density = Math.sqrt(2 / Math.PI) * Math.exp((-z * z) / 2)
    const step = (twoSidedNormalP(z) - outside) / density
    z += step
    if (Math.abs(step) <= 1e-15 * z) break
  }
  return z
}
