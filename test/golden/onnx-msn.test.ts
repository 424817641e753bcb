/** The MSN core's golden cases on the compiled engine, within the float32 tolerances of the golden files. */
import { describe, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { checkCase, goldenCases } from './msn-cases.ts'

describe('ONNX Runtime meets the golden numbers', () => {
  it.each(goldenCases().map((golden) => [golden.name, golden] as const))('%s', async (_, golden) => {
    const worst = await checkCase(golden, createExecutor('onnx', { threads: 2 }))
    expect(worst.checks).toBeGreaterThan(0)
    expect(worst.share).toBeLessThanOrEqual(1)
  })
})
