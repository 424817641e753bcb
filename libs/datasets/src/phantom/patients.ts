/** Made-up patients and films. Nothing of a real person is in them. */
import { drawsOf, permutation, type Uniform } from '#libs/training'
import { NIH14_LABELS } from '../nih14/labels.ts'

export interface PhantomFilm {
  readonly id: string
  readonly patient: number
  readonly followUp: number
  readonly male: boolean
  readonly age: number
  readonly ap: boolean
  readonly findings: readonly string[]
  readonly test: boolean
}

export interface PhantomSize {
  readonly images: number
  readonly patients: number
  readonly seed: number
}

/** Every fifth patient is tested on. */
const TEST_SHARE = 0.2
const FINDING_SHARE = 0.16

/** Films in order of patient; each patient has one at least, further ones fall on random patients. */
export function phantomFilms({ images, patients, seed }: PhantomSize): PhantomFilm[] {
  const uniform = drawsOf({ seed, purpose: 'phantom-films' })
  const films = new Int32Array(patients).fill(1)
  for (let i = patients; i < images; i++) films[Math.floor(uniform() * patients)]!++
  const order = permutation(uniform, patients)
  const tested = new Set(order.subarray(0, Math.min(patients - 2, Math.max(1, Math.round(patients * TEST_SHARE)))))
  return [...films].flatMap((count, patient) => filmsOf(patient, count, tested.has(patient), seed))
}

function filmsOf(patient: number, count: number, test: boolean, seed: number): PhantomFilm[] {
  const uniform = drawsOf({ seed, purpose: 'phantom-patient', sample: String(patient) })
  const male = uniform() < 0.55
  const age = 18 + Math.floor(uniform() * 72)
  return Array.from({ length: count }, (_, followUp) => {
    const id = `${String(patient + 1).padStart(8, '0')}_${String(followUp).padStart(3, '0')}.png`
    return { id, patient: patient + 1, followUp, male, age, ap: uniform() < 0.4, findings: findingsOf(uniform), test }
  })
}

const findingsOf = (uniform: Uniform): string[] => NIH14_LABELS.filter(() => uniform() < FINDING_SHARE)
