import { expect, it } from 'vitest'
import { SPLITS } from '#libs/experiments'
import type { PackColumns } from '#libs/training'
import { checkPack } from './check-pack.ts'

const [train, , test] = SPLITS.map((_, code) => code) as [number, number, number]

function columns(over: Partial<PackColumns> = {}): { columns: PackColumns } {
  const missing = Uint8Array.of(255, 255, 255)
  const made: PackColumns = {
    patient: Int32Array.of(0, 0, 1),
    split: Uint8Array.of(train, train, test),
    sex: Uint8Array.of(0, 1, 255),
    age: Float32Array.of(1, 2, 3),
    ...{ view: missing, position: missing, mortality: missing, icu: missing },
    labels: Uint8Array.of(0, 1, 255),
  }
  return { columns: { ...made, ...over } }
}

it('takes a sound pack', () => {
  expect(() => checkPack(columns())).not.toThrow()
})

it.each([
  ['a patient in two splits', { split: Uint8Array.of(train, test, test) }, '1 patients stand in two splits'],
  ['no training image', { split: Uint8Array.of(test, test, test) }, 'training split has no image'],
  ['an unknown code', { sex: Uint8Array.of(0, 2, 255) }, 'unknown code (sex)'],
  ['an unknown label', { labels: Uint8Array.of(0, 7, 255) }, 'unknown code (labels)'],
])('refuses %s', (_what, over, message) => {
  expect(() => checkPack(columns(over))).toThrow(message)
})
