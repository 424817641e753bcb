import { describe, expect, it } from 'vitest'
import {
  bootstrapDifference,
  bootstrapMetrics,
  EvaluationInputError,
  type LabelledScores,
  multiLabelMetrics,
  Resampler,
} from './index.ts'

/** A linear congruential stream: enough for a test, and the same on every machine. */
function stream(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const normalFrom = (uniform: () => number) => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())

/** Two labels; scores carry `signal` standard deviations of each. Images of one patient share labels and noise. */
function simulated(seed: number, patients: number, imagesEach: number, signal = 1): LabelledScores {
  const uniform = stream(seed)
  const [labels, scores, owners]: [number[], number[], number[]] = [[], [], []]
  for (let patient = 0; patient < patients; patient++) {
    const own = [uniform() < 0.4 ? 1 : 0, uniform() < 0.2 ? 1 : 0]
    const noise = own.map((label) => signal * label + normalFrom(uniform))
    for (let image = 0; image < imagesEach; image++) {
      labels.push(...own)
      scores.push(...noise)
      owners.push(patient * 7 + 3)
    }
  }
  return { labelNames: ['Edema', 'Mass'], labels, scores, patients: owners }
}

const options = { resamples: 400, by: 'patient', confidence: 0.95 } as const
const widthOf = (report: ReturnType<typeof bootstrapMetrics>) => report.rows[0]!.high! - report.rows[0]!.low!

describe('bootstrapMetrics', () => {
  it('gives the metrics of the whole sample as values, macro first', () => {
    const data = simulated(1, 100, 1)
    const whole = multiLabelMetrics(data)
    const { rows, leftOut } = bootstrapMetrics(data, options, stream(2))
    expect(rows.map((row) => `${row.label} ${row.metric}`)).toEqual([
      'macro auroc',
      'macro auprc',
      'Edema auroc',
      'Edema auprc',
      'Mass auroc',
      'Mass auprc',
    ])
    expect(rows[0]!.value).toBe(whole.macro!.auroc)
    expect(rows[5]!.value).toBe(whole.perLabel[1]!.auprc)
    expect(leftOut).toEqual([])
    for (const row of rows) {
      expect(row.low!).toBeLessThan(row.value)
      expect(row.high!).toBeGreaterThan(row.value)
    }
  })

  it('gives the same intervals for the same stream, and others for another', () => {
    const data = simulated(1, 80, 1)
    expect(bootstrapMetrics(data, options, stream(2))).toEqual(bootstrapMetrics(data, options, stream(2)))
    expect(bootstrapMetrics(data, options, stream(2))).not.toEqual(bootstrapMetrics(data, options, stream(3)))
  })

  it('gives wider intervals by patient than by image where a patient has many images', () => {
    const data = simulated(1, 60, 9)
    const byPatient = widthOf(bootstrapMetrics(data, options, stream(2)))
    const byImage = widthOf(bootstrapMetrics(data, { ...options, by: 'image' }, stream(2)))
    // Nine copies of each image: three times the standard error.
    expect(byPatient / byImage).toBeGreaterThan(2.4)
    expect(byPatient / byImage).toBeLessThan(3.6)
  })

  it('covers the true AUROC about as often as it claims', () => {
    // Scores of unit variance one apart: AUROC = Phi(1/sqrt 2).
    const truth = 0.7602499389
    let covered = 0
    for (let i = 0; i < 200; i++) {
      const row = bootstrapMetrics(simulated(1000 + i, 150, 1), { ...options, resamples: 200 }, stream(i)).rows[2]!
      if (row.low! <= truth && truth <= row.high!) covered++
    }
    expect(covered).toBeGreaterThanOrEqual(180)
    expect(covered).toBeLessThanOrEqual(199)
  })

  it('gives no intervals and draws nothing without resamples', () => {
    const never = () => {
      throw new Error('drew')
    }
    const { rows } = bootstrapMetrics(simulated(1, 50, 1), { ...options, resamples: 0 }, never)
    expect(rows[0]).toMatchObject({ low: null, high: null })
  })

  it('leaves out and names labels without positives, and counts resamples that lose theirs', () => {
    const labels = [0, 1, 0, 1, 0, 0, 0, 0].flatMap((mass, i) => [0, i === 0 ? 1 : 0, mass])
    const scores = labels.map((_, i) => (i * 37) % 11)
    const data = { labelNames: ['Hernia', 'Nodule', 'Mass'], labels, scores, patients: [0, 1, 2, 3, 4, 5, 6, 7] }
    const report = bootstrapMetrics(data, options, stream(5))
    expect(report.leftOut).toEqual(['Hernia'])
    expect(report.rows.map((row) => row.label)).not.toContain('Hernia')
    expect(Object.keys(report.leftOutResamples)).toEqual(['Nodule', 'Mass'])
    // One positive of eight is absent from (7/8)^8 = 34 % of the resamples, two from 10 %.
    expect(report.leftOutResamples.Nodule! / options.resamples).toBeCloseTo(0.34, 1)
    expect(report.leftOutResamples.Mass! / options.resamples).toBeCloseTo(0.1, 1)
  })

  it('refuses arrays whose sizes disagree', () => {
    const data = simulated(1, 10, 1)
    expect(() => bootstrapMetrics({ ...data, patients: [1, 2] }, options, stream(1))).toThrow(EvaluationInputError)
  })
})

describe('Resampler', () => {
  it('draws as many patients as there are and takes all images of each', () => {
    const patients = [5, 5, 9, 9, 9, 2]
    const resampler = new Resampler(patients, 'patient', stream(3))
    expect(resampler.units).toBe(3)
    for (let i = 0; i < 50; i++) {
      const weights = resampler.next()
      expect(weights[0]).toBe(weights[1])
      expect(weights[2]).toBe(weights[4])
      expect(weights[0]! + weights[2]! + weights[5]!).toBe(3)
    }
  })
})

describe('bootstrapDifference', () => {
  const better = simulated(1, 200, 1, 1.6)
  const worse = { ...better, scores: simulated(1, 200, 1, 0.3).scores }

  it('finds a difference, and its sign turns with the order', () => {
    const macro = bootstrapDifference(better, worse, options, stream(2))[0]!
    expect(macro.low!).toBeGreaterThan(0)
    expect(macro.p).toBeCloseTo(2 / 401, 12)
    const turned = bootstrapDifference(worse, better, options, stream(2))[0]!
    expect(turned.value).toBe(-macro.value)
    expect(turned.high!).toBeLessThan(0)
  })

  it('finds none between a model and itself', () => {
    for (const row of bootstrapDifference(better, better, options, stream(2)))
      expect(row).toMatchObject({ value: 0, low: 0, high: 0, p: 1 })
  })

  it('is narrower than unpaired intervals, because both are measured on the same resamples', () => {
    const macro = bootstrapDifference(better, worse, options, stream(2))[0]!
    const apart = widthOf(bootstrapMetrics(better, options, stream(2))) + widthOf(bootstrapMetrics(worse, options, stream(2)))
    expect(macro.high! - macro.low!).toBeLessThan(apart)
  })

  it.each([
    ['labels', { ...worse, labelNames: ['Edema', 'Hernia'] }, /different labels/],
    ['images', { ...worse, labels: better.labels, patients: Array.from(better.patients).reverse() }, /same images/],
  ])('refuses models that were tested on different %s', (_, other, message) => {
    expect(() => bootstrapDifference(better, other, options, stream(1))).toThrow(message)
  })
})
