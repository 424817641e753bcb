import { describe, expect, it } from 'vitest'
import { initialArrays, initialValues } from './init.ts'
import { msnInitialState } from './msn-step.ts'
import { drawsFor, miniConfig } from './testing.ts'

describe('initial values', () => {
  it('are normal with the stated deviation', () => {
    const spec = { name: 'w', shape: [100, 100], init: { kind: 'normal', std: 0.02 } } as const
    const values = initialValues(spec, drawsFor('normal'))
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
    expect(Math.abs(mean)).toBeLessThan(0.001)
    expect(deviation).toBeCloseTo(0.02, 3)
  })

  it('are uniform within the stated bound', () => {
    const spec = { name: 'w', shape: [1000], init: { kind: 'uniform', bound: 0.25 } } as const
    const values = initialValues(spec, drawsFor('uniform'))
    expect(Math.max(...values)).toBeLessThan(0.25)
    expect(Math.min(...values)).toBeGreaterThan(-0.25)
    expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(0.49)
  })

  it('of a parameter depend on its own stream alone', () => {
    const spec = (name: string) => ({ name, shape: [3], init: { kind: 'uniform', bound: 1 } }) as const
    const alone = initialArrays([spec('b')], drawsFor)
    const among = initialArrays([spec('a'), spec('b')], drawsFor)
    expect(among.b).toEqual(alone.b)
  })
})

describe('the initial MSN state', () => {
  const state = msnInitialState(miniConfig, drawsFor)

  it('starts backbone, head and prototypes the same with and without EHR', () => {
    const vanilla = msnInitialState({ ...miniConfig, ehr: null }, drawsFor)
    for (const [name, values] of Object.entries(vanilla)) expect(state[name], name).toEqual(values)
    expect(Object.keys(state).filter((name) => name.startsWith('online.ehr.'))).toHaveLength(4)
  })

  it('starts the target as a copy of the online network in arrays of its own, without EHR layers', () => {
    const targets = Object.keys(state).filter((name) => name.startsWith('target.'))
    expect(targets.length).toBeGreaterThan(30)
    for (const name of targets) {
      const online = state[name.replace('target.', 'online.')]!
      expect(state[name], name).toEqual(online)
      expect(state[name], name).not.toBe(online)
    }
    expect(targets.some((name) => name.includes('ehr'))).toBe(false)
  })

  it('follows the initialisation of each layer kind', () => {
    expect([...state['online.blocks.0.norm1.weight']!]).toEqual(new Array(8).fill(1))
    expect([...state['online.blocks.0.attn.qkv.bias']!]).toEqual(new Array(24).fill(0))
    const bound = (name: string): number => Math.max(...state[name]!.map(Math.abs))
    expect(bound('prototypes')).toBeLessThanOrEqual(1 / Math.sqrt(6))
    expect(bound('online.fc.fc1.weight')).toBeLessThanOrEqual(1 / Math.sqrt(8))
    expect(bound('online.ehr.embed.bias')).toBeGreaterThan(0)
    expect(bound('online.pos_embed')).toBeLessThan(0.12)
  })
})
