import { expect, it } from 'vitest'
import { reportOnce } from './error-report.ts'

it('passes on the first error of a kind, other kinds, and the same again after half a minute', () => {
  const reported: string[] = []
  let nowMs = 0
  const report = reportOnce(
    (error) => reported.push(error.message),
    () => nowMs,
  )
  for (let i = 0; i < 50; i++) report(new Error('refused'))
  report(new Error('reset'))
  expect(reported).toEqual(['refused', 'reset'])
  nowMs = 29_999
  report(new Error('refused'))
  nowMs = 30_000
  report(new Error('refused'))
  expect(reported).toEqual(['refused', 'reset', 'refused'])
})
