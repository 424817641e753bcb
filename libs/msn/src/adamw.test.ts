import { describe, expect, it } from 'vitest'
import { adamW, biasCorrections, clipFactor, isDecayed } from './adamw.ts'
import { tf } from './tf.ts'

describe('AdamW', () => {
  const betas = [0.9, 0.999] as const
  const run = (decayed: boolean): number => {
    const [lr, wd, eps] = [0.01, 0.1, 1e-8]
    const gradients = [0.3, -0.2, 0.05]
    let entry = { value: tf.scalar(2), m: tf.scalar(0), v: tf.scalar(0) }
    gradients.forEach((gradient, step) => {
      const { adam1, adam2 } = biasCorrections(betas, step)
      const scalars = { lr: tf.scalar(lr), wd: tf.scalar(wd), adam1: tf.scalar(adam1), adam2: tf.scalar(adam2) }
      entry = adamW(entry, tf.scalar(gradient), scalars, { betas, eps }, decayed) as typeof entry
    })
    return entry.value.dataSync()[0]!
  }
  const reference = (decayed: boolean): number => {
    let [value, m, v] = [2, 0, 0]
    ;[0.3, -0.2, 0.05].forEach((gradient, i) => {
      m = 0.9 * m + 0.1 * gradient
      v = 0.999 * v + 0.001 * gradient ** 2
      if (decayed) value *= 1 - 0.01 * 0.1
      value -= (0.01 * (m / (1 - 0.9 ** (i + 1)))) / (Math.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8)
    })
    return value
  }

  it.each([true, false])('follows the published algorithm, decayed: %s', (decayed) => {
    expect(run(decayed)).toBeCloseTo(reference(decayed), 6)
  })

  it('with skip1d decays matrices and embeddings, not biases, norms and other vectors', () => {
    const decayed = (name: string, shape: number[]): boolean => isDecayed({ name, shape }, true)
    expect(decayed('blocks.0.attn.qkv.weight', [24, 8])).toBe(true)
    expect(decayed('cls_token', [1, 1, 8])).toBe(true)
    expect(decayed('norm.weight', [8])).toBe(false)
    expect(decayed('fc.fc3.bias', [8])).toBe(false)
    expect(isDecayed({ name: 'norm.weight', shape: [8] }, false)).toBe(true)
  })

  it('clipping shortens long gradients to the bound and leaves short ones', () => {
    expect(clipFactor(tf.scalar(6), 3).dataSync()[0]).toBeCloseTo(0.5, 6)
    expect(clipFactor(tf.scalar(2), 3).dataSync()[0]).toBe(1)
    expect(clipFactor(tf.scalar(0), 3).dataSync()[0]).toBe(1)
  })
})
