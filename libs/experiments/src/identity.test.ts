import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  presetBackbone,
  presetDino,
  presetEvaluate,
  presetMae,
  presetPrepare,
  presetPretrain,
  presetTransfer,
  type RunSpec,
  runIdOf,
  runTitle,
  SEMANTICS,
  shortId,
} from './index.ts'

const backbone = presetBackbone('paper', 'vit-tiny')
const ehr = { variables: ['sex', 'age'], ageEncoding: 'bins5' } as const
const SPECS: readonly RunSpec[] = [
  presetPrepare('paper', 'nih'),
  presetPretrain('paper', { dataset: 'mimic', seed: 24, backbone, ehr }),
  presetEvaluate('paper', { dataset: 'nih', mode: 'linear', labels: 'findings', labelFraction: 0.05, seed: 24 }),
  presetDino('paper', { dataset: 'mimic', seed: 24, backbone, ehr: null }),
  presetMae('paper', { dataset: 'mimic', seed: 24, backbone, ehr: null }),
  presetTransfer('paper', {
    dataset: 'stanford',
    trainedOn: { dataset: 'mimic', mode: 'finetune' },
    labels: 'findings',
    labelFraction: 1,
    seed: 24,
  }),
]
const identity = (spec: RunSpec) => ({ spec, fingerprint: 'f'.repeat(64), upstream: ['b', 'a'], semantics: SEMANTICS })

/** The same value with the keys of every object in another order. */
function shuffled(value: unknown, rank: (key: string) => number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, rank))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b))
  return Object.fromEntries(entries.map(([key, inner]) => [key, shuffled(inner, rank)]))
}

type Path = readonly (string | number)[]
function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
}

function changedAt(value: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) return typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${value}x`
  const copy = structuredClone(value) as Record<string, unknown>
  copy[key] = changedAt(copy[key], rest)
  return copy
}

describe('runIdOf', () => {
  it('is the SHA-256 of canonical JSON, so that other programs can compute it', () => {
    // printf '{"fingerprint":null,"semantics":1,"spec":{"a":1,"b":[true,null]},"upstream":["x"]}' | sha256sum
    const spec = { b: [true, null], a: 1 } as never
    expect(runIdOf({ spec, fingerprint: null, upstream: ['x'], semantics: 1 })).toBe(
      '316a7ebbaef06cb78126e1f06ff185a6d7ddaa45c1d7425562c8cd58ab0d1848',
    )
  })

  it('does not change with the order of keys, at any depth', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SPECS), fc.integer(), (spec, salt) => {
        const rank = (key: string) => [...key].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), salt | 1), salt)
        expect(runIdOf(identity(shuffled(spec, rank) as RunSpec))).toBe(runIdOf(identity(spec)))
      }),
    )
  })

  it('does not change with the order of upstream runs', () => {
    const one = identity(SPECS[2]!)
    expect(runIdOf({ ...one, upstream: ['a', 'b'] })).toBe(runIdOf(one))
  })

  it.each(SPECS)('changes with every single field of a $kind spec', (spec) => {
    const ids = leaves(spec).map((path) => runIdOf(identity(changedAt(spec, path) as RunSpec)))
    expect(ids.length).toBeGreaterThan(8)
    expect(new Set([...ids, runIdOf(identity(spec))]).size).toBe(ids.length + 1)
  })

  it('changes with fingerprint, upstream and semantics', () => {
    const one = identity(SPECS[1]!)
    const others = [
      { fingerprint: null },
      { fingerprint: 'e'.repeat(64) },
      { upstream: ['a'] },
      { upstream: ['a', 'c'] },
      { semantics: SEMANTICS + 1 },
    ]
    const ids = [one, ...others.map((change) => ({ ...one, ...change }))].map(runIdOf)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('shortId', () => {
  it('is the first 12 hex digits', () => {
    expect(shortId(runIdOf(identity(SPECS[0]!)))).toMatch(/^[0-9a-f]{12}$/)
  })
})

describe('runTitle', () => {
  it.each([
    ['prepare nih', SPECS[0]!],
    ['pretrain msn vit-tiny demographics (age bins5) seed 24', SPECS[1]!],
    ['evaluate linear findings on nih with 5 %', SPECS[2]!],
    ['pretrain dino vit-tiny seed 24', SPECS[3]!],
    ['pretrain mae vit-tiny seed 24', SPECS[4]!],
    ['evaluate transfer of finetune on mimic findings on stanford', SPECS[5]!],
    ['pretrain msn vit-tiny vanilla seed 1', presetPretrain('msn', { dataset: 'mimic', seed: 1, backbone, ehr: null })],
    ['pretrain none vit-tiny seed 3', { kind: 'pretrain', method: 'none', seed: 3, backbone } satisfies RunSpec],
    [
      'evaluate linear-cached sex on nih',
      presetEvaluate('paper', { dataset: 'nih', mode: 'linear-cached', labels: 'sex', labelFraction: 1, seed: 1 }),
    ],
  ])('%s', (title, spec) => {
    expect(runTitle(spec)).toBe(title)
  })
})
