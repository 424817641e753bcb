import { describe, expect, it } from 'vitest'
import { encodeSafetensors } from '#libs/artifacts'
import { auroc, delong } from '#libs/evaluation'
import { compare } from './compare.ts'
import { compareInThread } from './compare-in-thread.ts'

const IMAGES = 60
const NAMES = ['Effusion', 'Hernia', 'None']

interface Changes {
  readonly samples?: readonly string[]
  readonly patients?: Int32Array
  readonly labels?: readonly string[]
}

/** Of a model that is right in a share of the images; label 2 has no positive. */
function predictions(right: number, changes: Changes = {}): Uint8Array {
  const labels = new Uint8Array(IMAGES * 3)
  const scores = new Float32Array(IMAGES * 3)
  for (let image = 0; image < IMAGES; image++) {
    for (let label = 0; label < 3; label++) {
      const positive = label < 2 && (image + label) % 3 === 0
      labels[image * 3 + label] = Number(positive)
      const isRight = (image * 7 + label * 3) % 10 < right * 10
      scores[image * 3 + label] = (positive === isRight ? 1 : 0) + ((image * 31) % 17) / 20
    }
  }
  return encodeSafetensors(
    {
      scores: { shape: [IMAGES, 3], data: scores },
      labels: { shape: [IMAGES, 3], data: labels },
      patients: { shape: [IMAGES], data: changes.patients ?? Int32Array.from({ length: IMAGES }, (_, i) => i >> 1) },
    },
    {
      labels: JSON.stringify(changes.labels ?? NAMES),
      samples: JSON.stringify(changes.samples ?? Array.from({ length: IMAGES }, (_, i) => `s${i}`)),
    },
  )
}

describe('compare', () => {
  it('gives differences with intervals by patient, and DeLong with Holm for each label that can be measured', () => {
    const { images, patients, rows } = compare({ first: predictions(0.9), second: predictions(0.6), resamples: 300 })
    expect([images, patients]).toEqual([60, 30])
    expect(rows.map(({ label, metric }) => `${label} ${metric}`)).toEqual([
      'macro auroc',
      'macro auprc',
      'Effusion auroc',
      'Effusion auprc',
      'Hernia auroc',
      'Hernia auprc',
    ])
    const [macro] = rows
    expect(macro?.difference).toBeGreaterThan(0.05)
    expect(macro?.low).toBeLessThan(macro?.difference ?? 0)
    expect(macro?.high).toBeGreaterThan(macro?.difference ?? 0)
    expect(macro?.delong).toBeNull()
    const tests = rows.flatMap(({ label, delong: test }) => (test ? [{ label, ...test }] : []))
    expect(tests.map(({ label }) => label)).toEqual(['Effusion', 'Hernia'])
    const smaller = tests[0]!.p < tests[1]!.p ? 0 : 1
    expect(tests[smaller]!.holm).toBeCloseTo(Math.min(1, 2 * tests[smaller]!.p), 12)
    for (const row of rows) if (row.delong) expect(row.delong.first - row.delong.second).toBeCloseTo(row.difference, 12)
  })

  it('agrees with the measures of one label taken by themselves', () => {
    const labels = Array.from({ length: IMAGES }, (_, i) => Number(i % 3 === 0))
    const scoresOf = (right: number) =>
      Float32Array.from(
        { length: IMAGES },
        (_, i) => ((labels[i] === 1) === (i * 7) % 10 < right * 10 ? 1 : 0) + ((i * 31) % 17) / 20,
      )
    const row = compare({ first: predictions(0.8), second: predictions(0.7), resamples: 0 }).rows.find(
      ({ label }) => label === 'Effusion',
    )
    expect(row?.delong?.first).toBeCloseTo(auroc(labels, scoresOf(0.8)) ?? 0, 12)
    expect(row?.delong?.p).toBeCloseTo(delong(labels, scoresOf(0.8), scoresOf(0.7))?.p ?? 0, 12)
    expect(row).toMatchObject({ low: null, high: null, p: null })
  })

  it('finds no difference of a model from itself', () => {
    const { rows } = compare({ first: predictions(0.8), second: predictions(0.8), resamples: 50 })
    for (const { difference, p, delong: test } of rows) {
      expect([difference, p]).toEqual([0, 1])
      if (test) expect(test.p).toBe(1)
    }
  })

  it.each([
    ['other images', { samples: Array.from({ length: IMAGES }, (_, i) => `t${i}`) }, /same images/],
    ['other patients', { patients: new Int32Array(IMAGES) }, /same images/],
    ['other labels', { labels: ['A', 'B', 'C'] }, /different labels/],
  ])('refuses %s, without naming one', (_what, changes, message) => {
    expect(() => compare({ first: predictions(0.8), second: predictions(0.8, changes), resamples: 0 })).toThrow(message)
  })
})

describe('compareInThread', () => {
  it('answers as the comparison itself does, and refuses with its code', async () => {
    const input = { first: predictions(0.9), second: predictions(0.6), resamples: 20 }
    expect(await compareInThread(input)).toEqual(compare(input))
    const wrong = { ...input, second: predictions(0.6, { labels: ['A', 'B', 'C'] }) }
    await expect(compareInThread(wrong)).rejects.toMatchObject({
      code: 'evaluation-input',
      message: expect.stringMatching(/labels/),
    })
    await expect(compareInThread({ ...input, first: Buffer.from('x') })).rejects.toMatchObject({ code: 'artifact-mismatch' })
  })
})
