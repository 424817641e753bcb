import { describe, expect, it } from 'vitest'
import { ArtifactMismatchError } from './errors.ts'
import type { NamedTensors } from './ports.ts'
import { stateFrom } from './tensors.ts'

const SHAPES = { weight: [2, 3], bias: [2], scale: [] }
const stored = (over: NamedTensors = {}): NamedTensors => ({
  weight: { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  bias: { shape: [2], data: Float32Array.of(7, 8) },
  scale: { shape: [], data: Float32Array.of(9) },
  ...over,
})

it('a state is what the checkpoint holds, entry by entry', () => {
  expect(stateFrom(stored(), SHAPES)).toEqual({
    weight: Float32Array.of(1, 2, 3, 4, 5, 6),
    bias: Float32Array.of(7, 8),
    scale: Float32Array.of(9),
  })
})

describe('a checkpoint of another spec is refused by the name of the tensor', () => {
  const { bias: _, ...withoutBias } = stored()
  it.each<[string, NamedTensors, string]>([
    ['lacks a tensor', withoutBias, 'the checkpoint lacks bias'],
    [
      'has one too many',
      stored({ prototypes: stored().bias! }),
      'the checkpoint holds prototypes, which this spec does not have',
    ],
    ['has one of another shape', stored({ weight: { ...stored().weight!, shape: [3, 2] } }), 'weight has shape [3,2]'],
    ['has two swapped', stored({ weight: stored().bias!, bias: stored().weight! }), 'weight has shape [2] in the checkpoint'],
  ])('where it %s', (_what, tensors, message) => {
    expect(() => stateFrom(tensors, SHAPES)).toThrow(ArtifactMismatchError)
    expect(() => stateFrom(tensors, SHAPES)).toThrow(message)
  })
})
