import { describe, expect, it } from 'vitest'
import {
  type DatasetFacts,
  type EvaluateSpec,
  expandGrid,
  GridInvalidError,
  type GridPlan,
  type GridRequestInput,
  keptPatchCount,
  type MsnPretrainSpec,
  parseGridRequest,
  runIdOf,
} from './index.ts'

const DATASETS = new Map<string, DatasetFacts>([
  ['mimic', { name: 'mimic', kind: 'mimic-cxr', fingerprint: 'a'.repeat(64) }],
  ['nih', { name: 'nih', kind: 'nih14', fingerprint: 'b'.repeat(64) }],
  ['stanford', { name: 'stanford', kind: 'chexpert', fingerprint: 'c'.repeat(64) }],
])

const plan = (input: Partial<GridRequestInput>, options?: { limit?: number }): GridPlan =>
  expandGrid(parseGridRequest({ name: 'trial', dataset: 'mimic', evaluations: [{}], ...input }), DATASETS, options)

const kinds = (made: GridPlan) => {
  const count = { prepare: 0, pretrain: 0, evaluate: 0 }
  for (const run of made.runs) count[run.kind]++
  return count
}

describe('expandGrid', () => {
  it('plans one experiment as a pack, a pretraining and an evaluation', () => {
    const made = plan({ ehr: ['sex'] })
    expect(made.runs.map((run) => run.kind)).toEqual(['prepare', 'pretrain', 'evaluate'])
    const [prepare, pretrain, evaluate] = made.runs
    expect(prepare!.upstream).toEqual([])
    expect(pretrain!.upstream).toEqual([prepare!.id])
    expect(evaluate!.upstream).toEqual([pretrain!.id, prepare!.id])
    expect(evaluate!.dataset).toEqual({ name: 'mimic', fingerprint: 'a'.repeat(64) })
    expect(made.points).toEqual([
      {
        index: 0,
        method: 'msn',
        backbone: 'vit-tiny',
        ehr: 'sex',
        ageEncoding: null,
        seed: 24,
        pretrainDataset: 'mimic',
        dataset: 'mimic',
        mode: 'linear',
        trainedOn: null,
        labels: 'findings',
        labelFraction: 1,
        evaluate: evaluate!.id,
        pretrain: pretrain!.id,
      },
    ])
  })

  it('gives every run the id of its own spec, data set and upstream', () => {
    for (const run of plan({ method: ['msn', 'none'], ehr: ['all-combinations'], evaluations: [{ dataset: 'nih' }] }).runs) {
      const { spec, upstream, semantics } = run
      expect(runIdOf({ spec, fingerprint: run.dataset?.fingerprint ?? null, upstream, semantics })).toBe(run.id)
    }
  })

  it('lists each run once and upstream before downstream', () => {
    const made = plan({ method: ['msn', 'none'], ehr: ['all-combinations'], seed: [1, 2], evaluations: [{}, { dataset: 'nih' }] })
    const seen = new Set<string>()
    for (const run of made.runs) {
      expect(seen.has(run.id)).toBe(false)
      for (const id of run.upstream) expect(seen.has(id)).toBe(true)
      seen.add(run.id)
    }
  })

  it('shares pretrainings and packs between evaluations', () => {
    const made = plan({
      seed: [1, 2],
      evaluations: [{ mode: ['linear', 'finetune'], labelFraction: [1, 0.05] }, { dataset: 'nih' }],
    })
    expect(made.points).toHaveLength(2 * 5)
    expect(kinds(made)).toEqual({ prepare: 2, pretrain: 2, evaluate: 10 })
  })

  it('expands all-combinations to the 13 sets of the paper and vanilla, with the age encodings of the sets with age', () => {
    expect(plan({ ehr: ['all-combinations'] }).points.map((point) => point.ehr)).toHaveLength(14)
    // 23 sets with three encodings, and vanilla.
    expect(plan({ ehr: ['all-combinations'], ageEncoding: ['norm', 'bins5', 'bins10'] }).points).toHaveLength(24)
  })

  it('multiplies age encodings only with sets that hold age', () => {
    const made = plan({ ehr: ['vanilla', 'sex', 'age'], ageEncoding: ['norm', 'bins5'] })
    expect(made.points.map((point) => [point.ehr, point.ageEncoding])).toEqual([
      ['vanilla', null],
      ['sex', null],
      ['age', 'norm'],
      ['age', 'bins5'],
    ])
  })

  it('lets random initialisation know neither EHR, nor age encoding, nor pretraining data set', () => {
    const options = {
      method: ['none'],
      ehr: ['sex', 'age'],
      ageEncoding: ['norm', 'bins5'],
      evaluations: [{ dataset: 'nih' }],
    } as const
    const made = plan(options as never)
    expect(made.points).toHaveLength(1)
    expect(made.points[0]).toMatchObject({ method: 'none', ehr: 'vanilla', ageEncoding: null, pretrainDataset: 'none' })
    const pretrain = made.runs.find((run) => run.kind === 'pretrain')!
    expect(pretrain).toMatchObject({ dataset: null, upstream: [] })
    const elsewhere = plan({ ...(options as object), dataset: 'nih', ehr: ['vanilla'] })
    expect(elsewhere.runs.map((run) => run.id)).toEqual(made.runs.map((run) => run.id))
  })

  it('takes imported weights once for all seeds, without data set, under the hash of their file', () => {
    const weights = 'c0ffee'.padEnd(64, '0')
    const made = plan({ method: ['imported'], weights, seed: [1, 2], evaluations: [{ dataset: 'nih' }] })
    expect(made.points.map(({ method, seed, pretrainDataset, ehr }) => [method, seed, pretrainDataset, ehr])).toEqual([
      ['imported', 1, 'weights c0ffee000000', 'vanilla'],
      ['imported', 2, 'weights c0ffee000000', 'vanilla'],
    ])
    const pretrains = made.runs.filter(({ kind }) => kind === 'pretrain')
    expect(pretrains).toMatchObject([{ dataset: null, upstream: [], spec: { method: 'imported', weights } }])
    expect(made.runs.find(({ kind }) => kind === 'evaluate')).toMatchObject({ spec: { network: 'online' } })
    const other = plan({ method: ['imported'], weights: 'd'.repeat(64), evaluations: [{ dataset: 'nih' }] })
    expect(other.runs.find(({ kind }) => kind === 'pretrain')!.id).not.toBe(pretrains[0]!.id)
  })

  it('refuses imported without its file, and a file that nothing takes', () => {
    const problemOf = (input: object) => {
      try {
        plan({ evaluations: [{}], ...input })
      } catch (error) {
        return (error as GridInvalidError).problems
      }
    }
    expect(problemOf({ method: ['imported'] })).toMatchObject([{ code: 'missing-field', path: '/weights' }])
    expect(problemOf({ method: ['msn'], weights: 'c'.repeat(64) })).toMatchObject([
      { code: 'method-not-in-grid', path: '/weights' },
    ])
  })

  it('multiplies EHR sets and age encodings with MSN alone', () => {
    const made = plan({ method: ['msn', 'dino', 'mae', 'none'], ehr: ['vanilla', 'sex', 'age'], ageEncoding: ['norm', 'bins5'] })
    expect(made.points.map(({ method, ehr }) => `${method} ${ehr}`)).toEqual([
      'msn vanilla',
      'msn sex',
      'msn age',
      'msn age',
      'dino vanilla',
      'mae vanilla',
      'none vanilla',
    ])
    expect(made.points.slice(4).map((point) => point.pretrainDataset)).toEqual(['mimic', 'mimic', 'none'])
    expect(made.warnings.some((warning) => warning.startsWith('ehr-ignored'))).toBe(false)
    const ignored = plan({ method: ['dino'], ehr: ['sex'] })
    expect(ignored.points).toHaveLength(1)
    expect(ignored.warnings.some((warning) => warning.startsWith('ehr-ignored'))).toBe(true)
  })

  it.each([
    { ageEncoding: ['norm'], pretrainings: 32 },
    { ageEncoding: ['norm', 'bins5', 'bins10'], pretrainings: 52 },
  ] as const)("makes the paper's $pretrainings pretrainings with age encodings $ageEncoding", ({ ageEncoding, pretrainings }) => {
    const made = plan({
      method: ['msn', 'dino', 'mae'],
      backbone: ['vit-tiny', 'vit-small'],
      ehr: ['all-combinations'],
      ageEncoding: [...ageEncoding],
      evaluations: [{ mode: ['linear'] }, { dataset: 'nih', mode: ['linear'] }],
    })
    expect(kinds(made)).toEqual({ prepare: 2, pretrain: pretrainings, evaluate: 2 * pretrainings })
  })

  it('evaluates the network that the method is known by, and its only one where it has one', () => {
    const networks = (evaluate: Record<string, unknown>) => {
      const { points, runs } = plan({ method: ['msn', 'dino', 'mae', 'none'], overrides: { evaluate } })
      const specs = new Map(runs.map(({ id, spec }) => [id, spec as EvaluateSpec]))
      return Object.fromEntries(points.map((point) => [point.method, specs.get(point.evaluate)!.network]))
    }
    expect(networks({})).toEqual({ msn: 'target', dino: 'online', mae: 'online', none: 'online' })
    expect(networks({ network: 'online' })).toEqual({ msn: 'online', dino: 'online', mae: 'online', none: 'online' })
  })

  it('lays general overrides over every method that has the field, and those of one method over them', () => {
    const made = plan({
      method: ['msn', 'dino', 'mae'],
      overrides: {
        pretrain: { epochs: 7, batch: 16, views: { focalCount: 3, localCount: 4 }, precision: 'bfloat16', microBatch: 4 },
        dino: { epochs: 9 },
        mae: { decoder: { depth: 1 } },
      },
    })
    const spec = (method: string) => made.runs.find((run) => run.spec.kind === 'pretrain' && run.spec.method === method)!.spec
    expect(spec('msn')).toMatchObject({ epochs: 7, batch: 16, views: { focalCount: 3 }, precision: 'bfloat16', microBatch: 4 })
    expect(spec('dino')).toMatchObject({ epochs: 9, batch: 16, views: { localCount: 4 }, precision: 'bfloat16' })
    expect(spec('mae')).toMatchObject({ epochs: 7, batch: 16, decoder: { depth: 1, dim: 512 }, xla: 'off' })
    expect(spec('mae')).not.toHaveProperty('views.focalCount')
  })

  it('hangs a transfer on the evaluation that trains its classifier, whether or not the grid lists that by itself', () => {
    const entry = {
      dataset: 'stanford',
      mode: ['transfer' as const],
      labelFraction: [1, 0.1],
      transferFrom: { mode: ['finetune' as const] },
    }
    const made = plan({ evaluations: [entry] })
    expect(kinds(made)).toEqual({ prepare: 2, pretrain: 1, evaluate: 4 })
    expect(made.points.map(({ mode, dataset, trainedOn, labelFraction }) => [mode, dataset, trainedOn, labelFraction])).toEqual([
      ['transfer', 'stanford', 'finetune on mimic', 1],
      ['transfer', 'stanford', 'finetune on mimic', 0.1],
    ])
    const byId = new Map(made.runs.map((run) => [run.id, run]))
    for (const { evaluate, pretrain } of made.points) {
      const { spec, upstream } = byId.get(evaluate)!
      const [trained, ...rest] = upstream.map((id) => byId.get(id)!)
      expect(trained!.spec).toMatchObject({ kind: 'evaluate', mode: 'finetune', dataset: 'mimic' })
      expect((trained!.spec as EvaluateSpec).labelFraction).toBe((spec as EvaluateSpec).labelFraction)
      expect(rest.map((run) => [run.kind, run.spec.kind === 'prepare' ? run.spec.dataset : run.id])).toEqual([
        ['pretrain', pretrain],
        ['prepare', 'stanford'],
      ])
    }
    const listed = plan({ evaluations: [{ mode: ['finetune'], labelFraction: [1, 0.1] }, entry] })
    expect(kinds(listed)).toEqual(kinds(made))
    expect(listed.points).toHaveLength(4)
  })

  it('takes equal EHR sets written differently once, and says so', () => {
    const made = plan({ ehr: ['demographics', 'age+sex', 'sex+age'] })
    expect(made.points.map((point) => point.ehr)).toEqual(['demographics'])
    expect(made.warnings.join()).toContain('listed more than once')
  })

  it('gives the same ids to the same experiments of another grid', () => {
    const one = plan({ ehr: ['sex', 'age'], name: 'one' })
    const other = plan({ ehr: ['age'], name: 'other', priority: 5 })
    expect(one.points.map((point) => point.evaluate)).toContain(other.points[0]!.evaluate)
  })

  it('makes other runs where the fingerprint of the data set changed', () => {
    const request = parseGridRequest({ name: 'x', dataset: 'mimic', evaluations: [{}] })
    const changed = new Map(DATASETS).set('mimic', { ...DATASETS.get('mimic')!, fingerprint: 'c'.repeat(64) })
    const before = new Set(expandGrid(request, DATASETS).runs.map((run) => run.id))
    expect(expandGrid(request, changed).runs.filter((run) => before.has(run.id))).toEqual([])
  })

  it('lays overrides over the preset', () => {
    const made = plan({
      ehr: ['vanilla', 'sex'],
      overrides: {
        pretrain: {
          backbone: { heads: 3 },
          ehr: { embedDim: 64 },
          views: { affine: { degrees: 15, scale: [0.9, 1.1], translate: 0.1 } },
        },
      },
    })
    const specs = made.runs.flatMap((run) => (run.kind === 'pretrain' ? [run.spec as MsnPretrainSpec] : []))
    expect(specs.map((spec) => spec.backbone.heads)).toEqual([3, 3])
    expect(specs.map((spec) => spec.ehr?.embedDim)).toEqual([undefined, 64])
    expect(specs[0]!.views.affine?.degrees).toBe(15)
  })

  it('lets head sizes follow an overridden dim', () => {
    const made = plan({ overrides: { pretrain: { backbone: { dim: 96 } } } })
    const spec = made.runs.find((run) => run.kind === 'pretrain')!.spec as MsnPretrainSpec
    expect(spec.head).toMatchObject({ hiddenDim: 384, outDim: 96 })
  })

  it('gives linear-cached no augmentation', () => {
    const made = plan({
      evaluations: [{ mode: ['linear-cached', 'linear'] }],
      overrides: { evaluate: { augmentation: { flip: 1 } } },
    })
    const specs = made.runs.flatMap((run) => ('augmentation' in run.spec ? [run.spec.augmentation] : []))
    expect(specs[0]).toEqual({ flip: 0, affine: null })
    expect(specs[1]).toMatchObject({ flip: 1, affine: { degrees: 45 } })
    expect(made.warnings.some((warning) => warning.startsWith('augmentation-ignored'))).toBe(true)
  })

  it('warns where there are more prototypes than images in a batch', () => {
    const warned = (made: GridPlan) => made.warnings.some((warning) => warning.startsWith('prototypes-exceed-batch'))
    expect(warned(plan({}))).toBe(true)
    expect(warned(plan({ preset: 'tiny-cpu' }))).toBe(false)
  })

  it('warns where vanilla and EHR pretrainings group BatchNorm otherwise', () => {
    const warned = (made: GridPlan) => made.warnings.some((warning) => warning.startsWith('bn-groups-differ'))
    expect(warned(plan({ ehr: ['vanilla', 'sex'] }))).toBe(true)
    expect(warned(plan({ ehr: ['sex'] }))).toBe(false)
    expect(warned(plan({ ehr: ['vanilla', 'sex'], overrides: { pretrain: { head: { bnGroups: 'joint' } } } }))).toBe(false)
  })

  it('warns where packs are smaller than the images that are evaluated', () => {
    const made = plan({ overrides: { prepare: { sidePx: 224 } } })
    expect(made.warnings.some((warning) => warning.startsWith('pack-upsampled'))).toBe(true)
  })

  it('refuses a grid of two million points with its number, before it expands anything', () => {
    const seed = Array.from({ length: 1_000_000 }, (_, i) => i)
    const request = parseGridRequest({
      name: 'huge',
      dataset: 'mimic',
      seed,
      evaluations: [{}],
      backbone: ['vit-tiny', 'vit-small'],
    })
    let caught: unknown
    try {
      expandGrid(request, DATASETS)
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(GridInvalidError)
    expect((caught as GridInvalidError).problems).toEqual([
      { code: 'grid-too-large', path: '', message: 'the grid has 2,000,000 points; at most 20,000 are taken at once' },
    ])
  })

  it('counts before expanding exactly the points that it would make', () => {
    const mixed: Partial<GridRequestInput> = {
      method: ['msn', 'none'],
      backbone: ['vit-tiny', 'vit-small'],
      ehr: ['vanilla', 'sex', 'demographics', 'age+sex'],
      ageEncoding: ['norm', 'bins10'],
      seed: [1, 2, 3],
      evaluations: [{ labels: ['sex', 'view'] }, { dataset: 'nih' }, { labels: ['sex'] }],
    }
    const { points } = plan(mixed)
    expect(points).toHaveLength((4 + 1) * 2 * 3 * 3)
    expect(new Set(points.map((point) => point.evaluate)).size).toBe(points.length)
    expect(() => plan(mixed, { limit: 89 })).toThrow(/90 points; at most 89/)
  })

  it('takes exactly as many points as the limit', () => {
    expect(plan({ seed: [1, 2, 3] }, { limit: 3 }).points).toHaveLength(3)
    expect(() => plan({ seed: [1, 2, 3, 4] }, { limit: 3 })).toThrow(/4 points; at most 3/)
  })
})

describe('keptPatchCount', () => {
  it.each([
    [224, 0.15, 166],
    [96, 0.15, 30],
    [160, 0.9, 10],
    [96, 0.98, 0],
  ])('of %s px with a share of %s dropped is %s', (sidePx, share, kept) => {
    expect(keptPatchCount(sidePx, 16, share)).toBe(kept)
  })
})
