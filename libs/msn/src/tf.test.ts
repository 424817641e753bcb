import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import { tf } from './tf.ts'

it('import and require of tfjs share one engine, with the CPU backend and the gradients registered', () => {
  const required = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tf
  expect(required.engine()).toBe(tf.engine())
  expect(tf.findBackendFactory('cpu')).not.toBeNull()
  expect(tf.getGradient('SplitV')).toBeDefined()
})
