import { describe, expect, it } from 'vitest'
import {
  type DatasetFacts,
  type DatasetSize,
  deviceHours,
  estimatePlan,
  expandGrid,
  type GridRequestInput,
  parseGridRequest,
  presetBackbone,
  presetDino,
  presetMae,
  presetPrepare,
  presetPretrain,
  pretrainFlops,
  publishedSize,
} from '../index.ts'

const DATASETS = new Map<string, DatasetFacts>([
  ['mimic', { name: 'mimic', kind: 'mimic-cxr', fingerprint: 'a'.repeat(64) }],
  ['stanford', { name: 'stanford', kind: 'chexpert', fingerprint: 'c'.repeat(64) }],
])
const SIZES = new Map<string, DatasetSize>([
  ['mimic', { train: 100, validation: 10, test: 20 }],
  ['stanford', { train: 50, validation: 5, test: 7 }],
])
const plan = (input: Partial<GridRequestInput>) =>
  expandGrid(parseGridRequest({ name: 'trial', dataset: 'mimic', evaluations: [{}], ...input }), DATASETS)

/** One block of width 4 with MLP 8 on 8 px images of four 4 px patches, counted by hand. */
const SMALL = { name: 'vit-tiny', dim: 4, depth: 1, heads: 2, mlpRatio: 2, patchPx: 4, imagePx: 8, layerNormEps: 1e-6 } as const
/** 4 patches of 48 values to width 4. */
const EMBED = 2 * 4 * 48 * 4
/** 5 tokens: keys and values, then for the class token query, scores and mix, projection, MLP. */
const LAST_BLOCK = 2 * 5 * 4 * 8 + 2 * 4 * 4 + 2 * (2 * 4 * 5) + 2 * 4 * 4 + 2 * (2 * 4 * 8)

describe('floating point operations', () => {
  const choice = { dataset: 'd', seed: 1, backbone: SMALL, ehr: null }

  it('of DINO are those of a hand count', () => {
    const spec = presetDino('paper', choice)
    const one = {
      ...spec,
      views: { ...spec.views, globalCount: 2, localCount: 0 },
      head: { hiddenDim: 3, bottleneckDim: 2, outDim: 5, frozenEpochs: 1 },
    }
    const head = 2 * (4 * 3 + 3 * 3 + 3 * 2 + 2 * 5)
    const teacher = 2 * (EMBED + LAST_BLOCK + head)
    const student = 2 * (2 * EMBED + 3 * LAST_BLOCK + 3 * head)
    expect(pretrainFlops(one)).toBe(teacher + student)
    expect(pretrainFlops({ ...one, microBatch: 2 })).toBe(teacher + student + 2 * (EMBED + LAST_BLOCK))
  })

  it('of MAE are those of a hand count', () => {
    const spec = { ...presetMae('paper', choice), mask: { image: 0.5 }, decoder: { dim: 6, depth: 1, heads: 2, mlpRatio: 1 } }
    // Two patches and the class token in the encoder, whose block is whole; all four and it in the decoder.
    const block = (n: number, d: number, hidden: number) =>
      2 * n * d * 3 * d + 2 * (2 * n * d * n) + 2 * n * d * d + 2 * (2 * n * d * hidden)
    const decoder = 2 * 3 * 4 * 6 + block(5, 6, 6) + 2 * 2 * 6 * 48
    expect(pretrainFlops(spec)).toBe(2 * (2 * 2 * 48 * 4) + 3 * (block(3, 4, 8) + decoder))
  })

  it('of MSN are those of a hand count', () => {
    const spec = presetPretrain('paper', choice)
    const one = {
      ...spec,
      views: { ...spec.views, focalCount: 0 },
      mask: { random: 0, focal: 0, shared: false },
      head: { ...spec.head, hiddenDim: 3, outDim: 2 },
      prototypes: { count: 5, trainable: true },
    }
    const head = 2 * (4 * 3 + 3 * 3 + 3 * 2)
    const scores = 2 * 2 * 5
    const pass = EMBED + LAST_BLOCK + head + scores
    expect(pretrainFlops(one)).toBe(pass + 2 * EMBED + 3 * (LAST_BLOCK + head + scores))
  })

  // Published for the step that embeds every patch and computes the whole last block (docs/method.md); ours does neither.
  it.each([
    ['vit-tiny', 21.5],
    ['vit-small', 81],
  ] as const)('of the original MSN step with %s lie a little below %f G an image', (name, published) => {
    const spec = presetPretrain('msn', { ...choice, backbone: presetBackbone('paper', name) })
    const ownHead = { ...spec, head: { ...spec.head, hiddenDim: 4 * spec.backbone.dim, outDim: spec.backbone.dim } }
    const share = pretrainFlops(ownHead) / 1e9 / published
    expect(share).toBeGreaterThan(0.9)
    expect(share).toBeLessThan(0.95)
  })
})

describe('the estimate of a plan', () => {
  const evaluations: GridRequestInput['evaluations'] = [
    { mode: ['linear', 'linear-cached', 'finetune'], labelFraction: [1, 0.25] },
    { dataset: 'stanford', mode: ['transfer'], transferFrom: { mode: ['finetune'] } },
  ]
  const made = plan({
    method: ['mae', 'none'],
    evaluations,
    overrides: {
      pretrain: { backbone: { dim: 4, depth: 1, heads: 2, mlpRatio: 2, patchPx: 4, imagePx: 8 } },
      mae: { batch: 32, epochs: 3, mask: { image: 0.5 }, decoder: { dim: 6, depth: 1, heads: 2, mlpRatio: 1 } },
      evaluate: { epochs: 4 },
    },
  })
  const { byKind, total } = estimatePlan(made, SIZES)

  it('counts runs, and those that several experiments share', () => {
    // Two packs; MAE and random initialisation; for each 6 evaluations and a transfer of the fine-tuned one.
    expect(byKind.prepare).toMatchObject({ runs: 2, shared: 2, images: 130 + 62, flops: 0 })
    expect([byKind.pretrain.runs, byKind.pretrain.shared]).toEqual([2, 2])
    // Only the fine-tuning with all labels serves two points: its own and the transfer's.
    expect([byKind.evaluate.runs, byKind.evaluate.shared]).toEqual([14, 2])
    expect([total.runs, total.shared]).toEqual([18, 6])
  })

  it('counts images and operations as a hand does', () => {
    const pretrain = made.runs.find(({ spec }) => spec.kind === 'pretrain' && spec.method === 'mae')!.spec
    expect(byKind.pretrain.images).toBe(3 * 96)
    expect(byKind.pretrain.flops).toBe(3 * 96 * pretrainFlops(pretrain as never))
    const [forward, training] = [EMBED + LAST_BLOCK, 2 * EMBED + 3 * LAST_BLOCK]
    const inferred = 4 * (100 + 25) + 2 * 30 + (100 + 25 + 2 * 30) + (2 * (4 * 10 + 20) + 7)
    const trained = 4 * (100 + 25)
    expect(byKind.evaluate.images).toBe(2 * (inferred + trained))
    expect(byKind.evaluate.flops).toBe(2 * (inferred * forward + trained * training))
    expect(total.flops).toBe(byKind.pretrain.flops + byKind.evaluate.flops)
    expect(deviceHours(total, total.flops / 7200)).toBe(2)
  })

  it('needs the size of every data set', () => {
    expect(() => estimatePlan(made, new Map([...SIZES].slice(0, 1)))).toThrow('no size of data set stanford')
  })
})

describe('published sizes', () => {
  it('are those of the data sets, with the options that change them', () => {
    const prepare = (over: object) => ({ ...presetPrepare('msn', 'd'), ...over })
    const sum = ({ train, validation, test }: DatasetSize) => train + validation + test
    expect(sum(publishedSize('mimic-cxr', prepare({})))).toBe(377_110)
    expect(sum(publishedSize('nih14', prepare({})))).toBe(112_120)
    expect(sum(publishedSize('nih14', prepare({ includeNoFinding: false })))).toBe(112_120 - 60_361)
    expect(publishedSize('nih14', prepare({ validationFraction: 0.25 })).validation).toBe(21_631)
    expect(publishedSize('chexpert', prepare({ dropAllZero: true })).test).toBe(612)
    expect(publishedSize('chexpert', prepare({})).test).toBe(668)
  })
})
