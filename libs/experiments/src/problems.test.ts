import { describe, expect, it } from 'vitest'
import {
  DATASET_VARIABLES,
  type DatasetFacts,
  expandGrid,
  GridInvalidError,
  labelSetProblem,
  parseGridRequest,
  SPEC_PROBLEM_CODES,
  type SpecProblem,
} from './index.ts'

const DATASETS = new Map<string, DatasetFacts>([
  ['mimic', { name: 'mimic', kind: 'mimic-cxr', fingerprint: 'a'.repeat(64) }],
  ['nih', { name: 'nih', kind: 'nih14', fingerprint: 'b'.repeat(64) }],
  ['stanford', { name: 'stanford', kind: 'chexpert', fingerprint: 'c'.repeat(64) }],
])

function problemsOf(document: unknown): readonly SpecProblem[] {
  try {
    expandGrid(parseGridRequest(document), DATASETS)
  } catch (error) {
    if (error instanceof GridInvalidError) return error.problems
    throw error
  }
  return []
}

const good = { name: 'trial', dataset: 'mimic', evaluations: [{}] }
const pretrain = (over: object, more: object = {}) => ({ ...good, ...more, overrides: { pretrain: over } })

const own = (method: 'dino' | 'mae', over: object, methods: readonly string[]) => ({
  ...good,
  method: methods,
  overrides: { [method]: over },
})
const transfer = (changes: object) => ({
  ...good,
  evaluations: [{ dataset: 'stanford', mode: ['transfer'], transferFrom: { mode: ['finetune'] }, ...changes }],
})

/** [code, path, part of the message, document] */
const BAD: readonly [SpecProblem['code'], string, RegExp, unknown][] = [
  ['wrong-type', '', /expected object/, 'nonsense'],
  ['wrong-type', '', /expected object/, null],
  ['wrong-type', '/name', /expected string/, { ...good, name: 7 }],
  ['wrong-type', '/seed/0', /expected int/, { ...good, seed: [1.5] }],
  ['wrong-type', '/overrides/pretrain/views/flip', /expected number/, pretrain({ views: { flip: 'often' } })],
  ['wrong-type', '/overrides/pretrain/backbone', /expected object/, pretrain({ backbone: [] })],
  ['missing-field', '/dataset', /is required/, { name: 'x', evaluations: [{}] }],
  [
    'missing-field',
    '/overrides/pretrain/views/affine/translate',
    /is required/,
    pretrain({ views: { affine: { degrees: 5, scale: [1, 1] } } }),
  ],
  ['unknown-field', '/seeds', /no field "seeds"/, { ...good, seeds: [1] }],
  ['unknown-field', '/evaluations/0/modes', /no field "modes"/, { ...good, evaluations: [{ modes: ['linear'] }] }],
  ['unknown-field', '/overrides/pretrain/views/focalPX', /no field "focalPX"/, pretrain({ views: { focalPX: 96 } })],
  ['unknown-field', '/overrides/pretrain/backbone/width', /no field/, pretrain({ backbone: { width: 96 } })],
  ['unknown-field', '/overrides/pretrain/ehr/dim', /no field/, pretrain({ ehr: { dim: 1 } })],
  ['unknown-field', '/overrides/pretrain/ehr/dim', /no field/, pretrain({ ehr: { dim: 1 } }, { ehr: ['sex'] })],
  ['unknown-field', '/overrides/pretrain/a~1b~0c', /no field/, pretrain({ 'a/b~c': 1 })],
  ['unknown-field', '/overrides/prepare/crop', /no field/, { ...good, overrides: { prepare: { crop: 1 } } }],
  [
    'unknown-field',
    '/overrides/evaluate/optimiser/momentum',
    /no field/,
    { ...good, overrides: { evaluate: { optimiser: { momentum: 0.9 } } } },
  ],
  ['unknown-value', '/backbone/0', /vit-tiny/, { ...good, backbone: ['resnet'] }],
  ['unknown-value', '/ehr/1', /unknown word "weight".*known: vanilla/, { ...good, ehr: ['sex', 'age+weight'] }],
  ['unknown-value', '/ehr/0', /unknown word "vanilla"/, { ...good, ehr: ['vanilla+sex'] }],
  ['unknown-value', '/overrides/prepare/fit', /centre-crop/, { ...good, overrides: { prepare: { fit: 'stretch' } } }],
  ['out-of-range', '/evaluations', /1/, { ...good, evaluations: [] }],
  ['out-of-range', '/evaluations/0/labelFraction/0', /<=1/, { ...good, evaluations: [{ labelFraction: [25] }] }],
  ['out-of-range', '/overrides/pretrain/mask/random', /<1/, pretrain({ mask: { random: 1 } })],
  ['out-of-range', '/overrides/evaluate/epochs', />0/, { ...good, overrides: { evaluate: { epochs: 0 } } }],
  ['invalid-value', '/evaluations/0/mode', /lists a value twice/, { ...good, evaluations: [{ mode: ['linear', 'linear'] }] }],
  ['invalid-value', '/dataset', /lower-case/, { ...good, dataset: '../etc' }],
  ['invalid-value', '/overrides/pretrain/views/ratio', /lower end lies above/, pretrain({ views: { ratio: [2, 1] } })],
  ['fixed-by-grid', '/overrides/pretrain/seed', /own lists/, pretrain({ seed: 3 })],
  ['fixed-by-grid', '/overrides/pretrain/backbone/name', /own lists/, pretrain({ backbone: { name: 'vit-small' } })],
  ['fixed-by-grid', '/overrides/pretrain/ehr/variables', /own lists/, pretrain({ ehr: { variables: ['sex'] } })],
  ['fixed-by-grid', '/overrides/pretrain/ehr', /own lists/, pretrain({ ehr: null }, { ehr: ['sex'] })],
  [
    'fixed-by-grid',
    '/overrides/evaluate/labelFraction',
    /own lists/,
    { ...good, overrides: { evaluate: { labelFraction: 0.5 } } },
  ],
  ['fixed-by-grid', '/overrides/prepare/dataset', /own lists/, { ...good, overrides: { prepare: { dataset: 'nih' } } }],
  ['unknown-dataset', '/dataset', /"padchest".*mimic, nih, stanford/, { ...good, dataset: 'padchest' }],
  ['unknown-dataset', '/evaluations/1/dataset', /"chexpert"/, { ...good, evaluations: [{}, { dataset: 'chexpert' }] }],
  [
    'variable-not-in-dataset',
    '/ehr/0',
    /nih \(nih14\) has no position; it carries sex, age, view/,
    { ...good, dataset: 'nih', ehr: ['scan'] },
  ],
  [
    'variable-not-in-dataset',
    '/ehr/1',
    /no position, mortality, icu/,
    { ...good, dataset: 'nih', ehr: ['sex', 'all-combinations'] },
  ],
  ['heads-do-not-divide-dim', '/overrides/pretrain/backbone/heads', /5 heads.*192/, pretrain({ backbone: { heads: 5 } })],
  [
    'heads-do-not-divide-dim',
    '/overrides/pretrain/backbone/heads',
    /5 heads/,
    pretrain({ backbone: { heads: 5 } }, { method: ['none'] }),
  ],
  [
    'image-not-multiple-of-patch',
    '/overrides/pretrain/backbone/imagePx',
    /225 px.*16 px/,
    pretrain({ backbone: { imagePx: 225 } }),
  ],
  ['focal-not-multiple-of-patch', '/overrides/pretrain/views/focalPx', /100 px.*16 px/, pretrain({ views: { focalPx: 100 } })],
  ['mask-keeps-nothing', '/overrides/pretrain/mask/random', /keeps no patch/, pretrain({ mask: { random: 0.999 } })],
  ['mask-keeps-nothing', '/overrides/pretrain/mask/focal', /keeps no patch/, pretrain({ mask: { focal: 0.98 } })],
  ['batch-too-small', '/overrides/pretrain/batch', /BatchNorm/, pretrain({ batch: 1 })],
  ['batch-too-small', '/overrides/pretrain/batch', />0/, pretrain({ batch: 0 })],
  ['prototypes-too-few', '/overrides/pretrain/prototypes/count', />0/, pretrain({ prototypes: { count: 0 } })],
  [
    'resize-below-image',
    '/overrides/evaluate/resizePx',
    /200 px.*224 px/,
    { ...good, overrides: { evaluate: { resizePx: 200 } } },
  ],
  [
    'unknown-field',
    '/overrides/pretrain/decoder',
    /no field "decoder"/,
    pretrain({ decoder: { depth: 2 } }, { method: ['msn', 'dino'] }),
  ],
  ['unknown-field', '/overrides/pretrain/epochs', /no field "epochs"/, pretrain({ epochs: 3 }, { method: ['none'] })],
  ['unknown-field', '/overrides/dino/prototypes', /no field/, own('dino', { prototypes: { count: 3 } }, ['msn', 'dino'])],
  ['wrong-type', '/overrides/dino/batch', /expected/, own('dino', { batch: 'many' }, ['msn', 'dino'])],
  ['method-not-in-grid', '/overrides/mae', /no method mae/, own('mae', { batch: 8 }, ['msn', 'dino'])],
  ['fixed-by-grid', '/overrides/dino/seed', /own lists/, own('dino', { seed: 1 }, ['dino'])],
  [
    'local-not-multiple-of-patch',
    '/overrides/dino/views/localPx',
    /100 px/,
    own('dino', { views: { localPx: 100 } }, ['dino', 'msn']),
  ],
  ['heads-do-not-divide-dim', '/overrides/mae/decoder/heads', /5 heads/, own('mae', { decoder: { heads: 5 } }, ['mae'])],
  ['mask-keeps-nothing', '/overrides/pretrain/mask/image', /keeps no/, pretrain({ mask: { image: 0.999 } }, { method: ['mae'] })],
  ['mask-drops-nothing', '/overrides/mae/mask/image', /to predict/, own('mae', { mask: { image: 1e-9 } }, ['mae'])],
  ['out-of-range', '/overrides/mae/mask/image', />0/, own('mae', { mask: { image: 0 } }, ['mae'])],
  ['out-of-range', '/overrides/pretrain/microBatch', />0/, pretrain({ microBatch: 0 })],
  ['unknown-value', '/overrides/pretrain/precision', /bfloat16/, pretrain({ precision: 'float16' })],
  [
    'no-target-network',
    '/overrides/evaluate/network',
    /MAE has no target/,
    { ...good, method: ['msn', 'mae'], overrides: { evaluate: { network: 'target' } } },
  ],
  ['transfer-without-source', '/evaluations/0/transferFrom', /say where/, transfer({ transferFrom: undefined })],
  ['transfer-to-same-dataset', '/evaluations/0/dataset', /mimic itself/, transfer({ dataset: 'mimic' })],
  ['invalid-value', '/evaluations/0/transferFrom', /does not list/, transfer({ mode: ['linear'] })],
  ['unknown-dataset', '/evaluations/0/transferFrom/dataset', /"padchest"/, transfer({ transferFrom: { dataset: 'padchest' } })],
  ['unknown-value', '/evaluations/0/transferFrom/mode/0', /finetune/, transfer({ transferFrom: { mode: ['transfer'] } })],
  ['labels-differ', '/evaluations/0/labels/0', /findings of mimic .* not those of nih/, transfer({ dataset: 'nih' })],
  ['grid-too-large', '', /30,000 points; at most 20,000/, { ...good, seed: Array.from({ length: 30_000 }, (_, i) => i) }],
]

describe('a bad grid request', () => {
  it('is good without the flaw', () => {
    expect(problemsOf(good)).toEqual([])
    expect(problemsOf(transfer({}))).toEqual([])
    expect(problemsOf(transfer({ dataset: 'nih', labels: ['sex', 'view'] }))).toEqual([])
    expect(problemsOf(pretrain({ views: { focalCount: 0, focalPx: 100 } }))).toEqual([])
    expect(problemsOf(pretrain({ mask: { random: 0.9, focal: 0.9 }, batch: 2, prototypes: { count: 1 } }))).toEqual([])
  })

  it.each(BAD)('has the one problem %s at "%s"', (code, path, message, document) => {
    const problems = problemsOf(document)
    expect(problems.map((problem) => [problem.code, problem.path])).toEqual([[code, path]])
    expect(problems[0]!.message).toMatch(message)
  })

  it('has a case in the table for every code that a data set of today can cause', () => {
    const shown = new Set(BAD.map(([code]) => code))
    expect(SPEC_PROBLEM_CODES.filter((code) => !shown.has(code))).toEqual(['labels-not-in-dataset'])
  })

  it('is told all its problems at once', () => {
    const document = pretrain({ backbone: { heads: 0 }, views: { focalPX: 1 }, ehr: { dim: 3 } }, { overrides: undefined })
    const overrides = {
      pretrain: { backbone: { heads: 0 }, views: { focalPX: 1 }, ehr: { dim: 3 } },
      evaluate: { epochs: 0 },
      prepare: { crop: 1 },
    }
    const paths = problemsOf({ ...document, overrides }).map((problem) => problem.path)
    expect(paths.sort()).toEqual([
      '/overrides/evaluate/epochs',
      '/overrides/prepare/crop',
      '/overrides/pretrain/backbone/heads',
      '/overrides/pretrain/ehr/dim',
      '/overrides/pretrain/views/focalPX',
    ])
  })

  it('is told a problem that many specs share once', () => {
    const document = pretrain({ batch: 1 }, { ehr: ['all-combinations'], backbone: ['vit-tiny', 'vit-small'] })
    expect(problemsOf(document)).toHaveLength(1)
  })

  it('carries code and places in the text of the error', () => {
    const error = new GridInvalidError([
      { code: 'unknown-field', path: '/a', message: 'first' },
      { code: 'grid-too-large', path: '', message: 'second' },
    ])
    expect(error).toMatchObject({ code: 'grid-invalid', message: '/a: first; /: second' })
  })
})

describe('labelSetProblem', () => {
  it('names label sets whose variable the data set lacks', () => {
    const without = { ...DATASET_VARIABLES, chexpert: ['sex'] } as const
    const dataset = { name: 'stanford', kind: 'chexpert' } as const
    expect(labelSetProblem('age60', dataset, '/x', without)).toMatchObject({ code: 'labels-not-in-dataset', path: '/x' })
    expect(labelSetProblem('sex', dataset, '/x', without)).toBeUndefined()
    expect(labelSetProblem('findings', dataset, '/x', without)).toBeUndefined()
    expect(labelSetProblem('age60', dataset, '/x')).toBeUndefined()
  })
})
