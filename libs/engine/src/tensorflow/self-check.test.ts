import { describe, expect, it } from 'vitest'
import { createExecutor } from '../engines.ts'
import { SelfCheckError } from '../errors.ts'
import type { Executor } from '../executor.ts'
import { tensorflowBuild } from './runtime.ts'
import { selfCheck } from './self-check.ts'

/** An executor whose products, say, are a little wrong: every loss is scaled. */
function scaled(executor: Executor, factor: number): Executor {
  return {
    name: executor.name,
    load: async (step, state) => {
      const session = await executor.load(step, state)
      return {
        run: async (batch, scalars) => {
          const outputs = await session.run(batch, scalars)
          return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values.map((x) => x * factor)]))
        },
        readState: (names) => session.readState(names),
        writeState: (entries) => session.writeState(entries),
        dispose: () => session.dispose(),
      }
    },
  }
}

describe('the self-check', () => {
  it.each(['eager', 'onnx'] as const)('lets the %s engine pass', async (engine) => {
    await expect(selfCheck(createExecutor(engine, { threads: 2 }))).resolves.toBeUndefined()
  })

  it('names the first number that is wrong', async () => {
    const off = scaled(createExecutor('onnx', { threads: 2 }), 1.001)
    await expect(selfCheck(off)).rejects.toThrow(/the onnx engine fails its self-check in float32: the loss of step 0 is 3\.73/)
  })

  it('does not take what is no number for right', async () => {
    const broken = scaled(createExecutor('onnx', { threads: 2 }), Number.NaN)
    await expect(selfCheck(broken)).rejects.toThrow(SelfCheckError)
  })
})

describe.skipIf(!tensorflowBuild())('the self-check on TensorFlow (skipped until npm run engine:tensorflow)', () => {
  it.each(['float32', 'bfloat16'] as const)('passes in %s', async (precision) => {
    await expect(selfCheck(createExecutor('tensorflow', { threads: 2, precision }), precision)).resolves.toBeUndefined()
  })

  it('tells bfloat16 from float32', async () => {
    await expect(selfCheck(createExecutor('tensorflow', { threads: 2, precision: 'bfloat16' }))).rejects.toThrow(SelfCheckError)
  })
})
