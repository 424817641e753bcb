import { describe, expect, it } from 'vitest'
import {
  BACKBONES,
  dinoPretrainSpecSchema,
  evaluateSpecSchema,
  maePretrainSpecSchema,
  msnPretrainSpecSchema,
  PRESETS,
  prepareSpecSchema,
  presetBackbone,
  presetDino,
  presetEvaluate,
  presetMae,
  presetPrepare,
  presetPretrain,
  presetTransfer,
  TRAINED_MODES,
  transferSpecSchema,
} from './index.ts'

const pretrain = (preset: (typeof PRESETS)[number], withEhr = true) =>
  presetPretrain(preset, {
    dataset: 'mimic',
    seed: 24,
    backbone: presetBackbone(preset, 'vit-small'),
    ehr: withEhr ? { variables: ['sex'], ageEncoding: null } : null,
  })
const choice = (preset: (typeof PRESETS)[number]) => ({
  dataset: 'mimic',
  seed: 24,
  backbone: presetBackbone(preset, 'vit-small'),
  ehr: null,
})
const evaluate = (preset: (typeof PRESETS)[number], mode: (typeof TRAINED_MODES)[number] = 'linear') =>
  presetEvaluate(preset, { dataset: 'nih', mode, labels: 'findings', labelFraction: 1, seed: 24 })

describe.each(PRESETS)('preset %s', (preset) => {
  it('gives specs that are complete and right by their schemas', () => {
    expect(prepareSpecSchema.parse(presetPrepare(preset, 'nih'))).toEqual(presetPrepare(preset, 'nih'))
    for (const withEhr of [true, false])
      expect(msnPretrainSpecSchema.parse(pretrain(preset, withEhr))).toEqual(pretrain(preset, withEhr))
    expect(dinoPretrainSpecSchema.parse(presetDino(preset, choice(preset)))).toEqual(presetDino(preset, choice(preset)))
    expect(maePretrainSpecSchema.parse(presetMae(preset, choice(preset)))).toEqual(presetMae(preset, choice(preset)))
    const transfer = presetTransfer(preset, {
      dataset: 'stanford',
      trainedOn: { dataset: 'mimic', mode: 'finetune' },
      labels: 'findings',
      labelFraction: 0.1,
      seed: 24,
    })
    expect(transferSpecSchema.parse(transfer)).toEqual(transfer)
    for (const mode of TRAINED_MODES) expect(evaluateSpecSchema.parse(evaluate(preset, mode))).toEqual(evaluate(preset, mode))
  })

  it('gives every backbone heads that divide its dim, and images of whole patches', () => {
    for (const name of BACKBONES) {
      const { dim, heads, imagePx, patchPx } = presetBackbone(preset, name)
      expect(dim % heads).toBe(0)
      expect(imagePx % patchPx).toBe(0)
    }
  })
})

describe('preset paper', () => {
  it('has the values of the paper', () => {
    expect(BACKBONES.map((name) => presetBackbone('paper', name))).toMatchObject([
      { dim: 192, heads: 6, depth: 12, patchPx: 16, imagePx: 224 },
      { dim: 384, heads: 6, depth: 12, patchPx: 16, imagePx: 224 },
    ])
    expect(pretrain('paper')).toMatchObject({
      ehr: { embedDim: 128, impute: 'mode-by-other', imputeFitOn: 'train' },
      views: {
        focalCount: 10,
        focalPx: 96,
        randomScale: [0.3, 1],
        focalScale: [0.05, 0.3],
        flip: 0.5,
        affine: null,
        colourJitter: 0,
      },
      mask: { random: 0.15, focal: 0.15, shared: false },
      head: { hiddenDim: 1536, outDim: 384, hiddenBias: false, bnGroups: 'joint' },
      prototypes: { count: 1024, trainable: false },
      loss: { temperature: 0.1, sharpening: 0.25, sinkhornIterations: 3, meMaxWeight: 1 },
      target: { momentum: [0.996, 0.996], apply: 'before-forward' },
      optimiser: {
        lr: { start: 1e-4, peak: 1e-4, final: 0, warmupEpochs: 0, granularity: 'epoch' },
        weightDecay: { start: 1e-3, final: 1e-3, skip1d: false },
        clipNorm: null,
      },
      batch: 64,
      epochs: 100,
      pretrainOn: 'train',
      selectCheckpoint: 'lowest-epoch-loss',
    })
    expect(evaluate('paper')).toMatchObject({
      network: 'target',
      fractionBy: 'patient',
      resizePx: 256,
      normalisation: { mean: [0.4884, 0.455, 0.4171], std: [0.2596, 0.253, 0.2556] },
      augmentation: { flip: 0.5, affine: { degrees: 45, scale: [0.85, 1.15], translate: 0.15 } },
      optimiser: { lr: 1e-4, weightDecay: 0, schedule: 'cosine-epoch', plateauFactor: 0.5, plateauPatience: 3 },
      batch: 64,
      epochs: 50,
      earlyStopPatience: 5,
      bootstrap: { resamples: 1000, by: 'patient', confidence: 0.95 },
    })
    expect(presetPrepare('paper', 'nih')).toMatchObject({
      sidePx: 256,
      includeNoFinding: false,
      uncertain: 'zeros',
      validationFraction: 0.1,
    })
  })

  it('has the baselines of the paper', () => {
    expect(presetDino('paper', choice('paper'))).toMatchObject({
      views: { globalCount: 2, localCount: 6, localPx: 96, globalScale: [0.4, 1], localScale: [0.05, 0.4] },
      head: { hiddenDim: 512, bottleneckDim: 256, outDim: 1024, frozenEpochs: 1 },
      loss: { studentTemperature: 0.1, teacherTemperature: 0.04, centreMomentum: 0.9 },
      target: { momentum: [0.996, 1] },
      optimiser: { lr: { peak: 1e-4, final: 0 }, weightDecay: { start: 1e-3, final: 1e-3 } },
      batch: 64,
      epochs: 100,
    })
    expect(presetMae('paper', choice('paper'))).toMatchObject({
      mask: { image: 0.6 },
      decoder: { dim: 512, depth: 8, heads: 16, mlpRatio: 4 },
      normPixels: false,
      optimiser: { lr: { peak: 1e-5 }, weightDecay: { start: 1e-4 } },
    })
    expect(presetPrepare('paper', 'stanford').dropAllZero).toBe(true)
    expect(presetPrepare('msn', 'stanford').dropAllZero).toBe(false)
  })

  it('passes anchors through the head jointly with EHR, and by size for vanilla', () => {
    expect(pretrain('paper', true).head.bnGroups).toBe('joint')
    expect(pretrain('paper', false).head.bnGroups).toBe('per-size')
  })
})

describe('preset msn', () => {
  it('has the values of the original', () => {
    expect(BACKBONES.map((name) => presetBackbone('msn', name).heads)).toEqual([3, 6])
    expect(pretrain('msn')).toMatchObject({
      views: { colourJitter: 0.5 },
      mask: { focal: 0, shared: true },
      head: { hiddenDim: 2048, outDim: 256, hiddenBias: true, bnGroups: 'per-size' },
      prototypes: { trainable: true },
      target: { momentum: [0.996, 1], momentumStretch: 1.25, apply: 'after-update' },
      optimiser: {
        lr: { start: 2e-4, peak: 1e-3, final: 1e-6, warmupEpochs: 15, stretch: 1.25, granularity: 'step' },
        weightDecay: { start: 0.04, final: 0.4, skip1d: true },
        clipNorm: 3,
      },
    })
    expect(presetPrepare('msn', 'nih').includeNoFinding).toBe(true)
  })
})

describe('preset tiny-cpu', () => {
  it('trains a head on cached features to its end, and others as the paper does', () => {
    const choice = { dataset: 'nih', labels: 'sex', labelFraction: 1, seed: 1 } as const
    const cached = presetEvaluate('tiny-cpu', { ...choice, mode: 'linear-cached' })
    expect(cached).toMatchObject({ epochs: 300, earlyStopPatience: 300, optimiser: { lr: 1e-2 } })
    const paper = presetEvaluate('paper', { ...choice, mode: 'linear-cached' })
    expect(paper).toMatchObject({ epochs: 50, earlyStopPatience: 5, optimiser: { lr: 1e-4 } })
    expect(presetEvaluate('tiny-cpu', { ...choice, mode: 'linear' })).toMatchObject({ epochs: 50, earlyStopPatience: 5 })
  })

  it('has no more prototypes than images in a batch, so that its loss can fall', () => {
    const { prototypes, batch } = pretrain('tiny-cpu')
    expect(prototypes.count).toBeLessThanOrEqual(batch)
  })

  it('resizes and crops in the ratio of the paper', () => {
    expect(evaluate('tiny-cpu').resizePx).toBe(Math.round((presetBackbone('tiny-cpu', 'vit-tiny').imagePx * 256) / 224))
  })
})

describe('linear-cached', () => {
  it('has no augmentation in any preset', () => {
    for (const preset of PRESETS) expect(evaluate(preset, 'linear-cached').augmentation).toEqual({ flip: 0, affine: null })
  })
})
