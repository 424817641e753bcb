/** A file from elsewhere as a run: the real child commits it, an evaluation starts from it, and it comes out again as it went in. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeSafetensors } from '#libs/artifacts'
import { presetEvaluate, resolvePretrain } from '#libs/experiments'
import { backboneInitialState, backboneParameters } from '#libs/msn'
import { initDraws, type NamedTensors } from '#libs/training'
import { loadForExport, storeImported } from '#libs/weights'
import { type ChildLab, openChildLab, PACK_RUN, pretrainAssignment, runChild, TINY_PRETRAIN } from './fixtures/real-child.ts'

const { backbone } = TINY_PRETRAIN
const IMPORT_RUN = '1a'.repeat(32)
const EVALUATE_RUN = '2b'.repeat(32)

let lab: ChildLab
beforeAll(async () => {
  lab = await openChildLab()
})
afterAll(() => lab?.close())

function importedSpec(weights: string, over: object = {}) {
  const choice = { dataset: 'phantom', seed: 1, backbone: 'vit-tiny', ehr: null, weights } as const
  const { spec, problems } = resolvePretrain('imported', 'tiny-cpu', choice, { pretrain: { backbone: { ...backbone, ...over } } })
  if (!spec) throw new Error(JSON.stringify(problems))
  return spec
}

/** As timm would save it. */
function timmFile(): { tensors: NamedTensors; bytes: Buffer } {
  const spec = importedSpec('0'.repeat(64))
  const state = backboneInitialState(spec.backbone, initDraws(99))
  const tensors = Object.fromEntries(
    backboneParameters(spec.backbone).map(({ name, shape }) => [name, { shape, data: state[`backbone.${name}`]! }]),
  )
  const head = { 'head.weight': { shape: [10, backbone.dim], data: new Float32Array(10 * backbone.dim) } }
  return { tensors, bytes: encodeSafetensors({ ...tensors, ...head }, { format: 'pt' }) }
}

describe('imported weights', () => {
  it('are committed by a run, evaluated, and exported as they came in', async () => {
    const { tensors, bytes } = timmFile()
    const { sha256, sizes } = await storeImported(lab.store, bytes)
    expect(sizes).toEqual({ dim: backbone.dim, depth: backbone.depth, patchPx: backbone.patchPx, imagePx: backbone.imagePx })
    const spec = importedSpec(sha256)
    const made = await runChild(lab.storeUrl, pretrainAssignment(IMPORT_RUN, spec, { upstream: [] }))
    expect(made.exit.code, made.why).toBe(0)
    const exported = await loadForExport(lab.store, { id: IMPORT_RUN, semantics: 1, spec }, null, null)
    expect(exported.tensors).toEqual(tensors)

    const evaluate = presetEvaluate(
      'tiny-cpu',
      { dataset: 'phantom', mode: 'linear-cached', labels: 'sex', labelFraction: 1, seed: 1 },
      'imported',
    )
    const assignment = pretrainAssignment(EVALUATE_RUN, spec, {
      spec: { ...evaluate, resizePx: 37, epochs: 2 },
      upstream: [
        { runId: IMPORT_RUN, kind: 'pretrain', pretrain: spec, evaluate: null },
        { runId: PACK_RUN, kind: 'prepare', pretrain: null, evaluate: null },
      ],
    })
    const evaluated = await runChild(lab.storeUrl, assignment)
    expect(evaluated.exit.code, evaluated.why).toBe(0)
    const done = evaluated.messages.find((message) => message.type === 'done')
    expect(done?.results.some(({ metric }) => metric === 'auroc')).toBe(true)
  })

  it.each([
    ['was never imported', async () => importedSpec('f'.repeat(64)), 'cxrlab import brings one in'],
    [
      'is of another backbone',
      async () => importedSpec((await storeImported(lab.store, timmFile().bytes)).sha256, { imagePx: 64 }),
      'the file has pos_embed of shape [1,17,48], vit-tiny has [1,65,48]',
    ],
    [
      'states another number of heads',
      async () => {
        const { tensors } = timmFile()
        const bytes = encodeSafetensors(tensors, { format: 'pt', num_heads: '3' })
        return importedSpec((await storeImported(lab.store, bytes)).sha256)
      },
      'states 3 heads, the spec 2',
    ],
  ])('end as a spec error that names what is wrong where the file %s', async (_what, specOf, message) => {
    const run = await runChild(lab.storeUrl, pretrainAssignment('3c'.repeat(32), await specOf(), { upstream: [] }))
    expect(run.exit.code).toBe(64)
    expect(run.why).toContain(message)
  })
})
