/** The MSN core's golden cases on the compiled engine, within the float32 tolerances of the golden files. */
import { describe, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { checkCase, goldenCases, microBatchCases } from './msn-cases.ts'

describe('ONNX Runtime meets the golden numbers', () => {
  it.each(goldenCases().map((golden) => [golden.name, golden] as const))('%s', async (_, golden) => {
    const worst = await checkCase(golden, createExecutor('onnx', { threads: 2 }))
    expect(worst.checks).toBeGreaterThan(0)
    expect(worst.share).toBeLessThanOrEqual(1)
  })

  it.each(microBatchCases().map((golden) => [golden.name, golden] as const))('in micro-batches: %s', async (_, golden) => {
    expect((await checkCase(golden, createExecutor('onnx', { threads: 2 }))).share).toBeLessThanOrEqual(1)
  })
})
