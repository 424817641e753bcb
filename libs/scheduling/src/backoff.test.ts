import { expect, it } from 'vitest'
import { backoffMs } from './backoff.ts'

it('doubles from the base up to the cap', () => {
  expect([1, 2, 3, 4, 5, 500].map((retry) => backoffMs(retry, 1000, 10_000))).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000])
})

it.each([0, -1, 1.5])('refuses %s as a count of retries', (retry) => {
  expect(() => backoffMs(retry, 1, 1)).toThrow(RangeError)
})
