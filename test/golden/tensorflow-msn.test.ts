/** The MSN core's golden cases on the TensorFlow engine, within the float32 tolerances of the golden files. */
import { describe, expect, it } from 'vitest'
import { createExecutor, tensorflowBuild } from '#libs/engine'
import { checkCase, goldenCases } from './msn-cases.ts'

describe.skipIf(!tensorflowBuild())('TensorFlow meets the golden numbers (skipped until npm run engine:tensorflow)', () => {
  it.each(goldenCases().map((golden) => [golden.name, golden] as const))('%s', async (_, golden) => {
    const worst = await checkCase(golden, createExecutor('tensorflow', { threads: 2 }))
    expect(worst.checks).toBeGreaterThan(0)
    expect(worst.share).toBeLessThanOrEqual(1)
  })
})
