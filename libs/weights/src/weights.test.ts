import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createCheckpointStore,
  decodeSafetensors,
  encodeSafetensors,
  float32Tensors,
  type ObjectStore,
  openObjectStore,
  putArtifact,
  writeManifest,
} from '#libs/artifacts'
import { createExecutor } from '#libs/engine'
import { type BackboneSpec, presetPrepare, resolveEvaluate, resolvePretrain } from '#libs/experiments'
import { backboneParameters, featuresStep, patchesOfChannels } from '#libs/msn'
import { drawsOf, learnerOf, type NamedTensors } from '#libs/training'
import { type ExportedRun, exportWeights, fromTimm, loadForExport, timmBackbone } from './index.ts'

const backbone = { dim: 24, depth: 2, heads: 2, imagePx: 32, patchPx: 8 }
const choice = { dataset: 'made', seed: 5, backbone: 'vit-tiny', ehr: null } as const
const { spec } = resolvePretrain('msn', 'tiny-cpu', choice, {
  pretrain: { backbone, batch: 4, views: { focalCount: 1, focalPx: 16 }, prototypes: { count: 8 } },
})
if (!spec) throw new Error('the test has no spec')
const PRETRAIN: ExportedRun = { id: 'aa'.repeat(32), semantics: 1, spec }
const { spec: evaluateSpec } = resolveEvaluate(
  'tiny-cpu',
  { dataset: 'made', mode: 'linear', labels: 'sex', labelFraction: 1, seed: 5 },
  { method: 'msn', imagePx: 32 },
)
if (!evaluateSpec) throw new Error('the test has no evaluation')
const EVALUATE: ExportedRun = { id: 'bb'.repeat(32), semantics: 1, spec: { ...evaluateSpec, mode: 'finetune' } }

/** Random in every tensor, so that nothing can be swapped unseen. */
function noisy(names: readonly { name: string; shape: readonly number[] }[], prefix: string): NamedTensors {
  return Object.fromEntries(
    names.map(({ name, shape }) => {
      const uniform = drawsOf({ seed: 1, purpose: prefix + name })
      const length = shape.reduce((product, side) => product * side, 1)
      return [
        prefix + name,
        {
          shape,
          data: Float32Array.from(
            { length },
            () => (name.includes('norm') && name.endsWith('weight') ? 1 : 0) + 0.3 * (uniform() - 0.5),
          ),
        },
      ]
    }),
  )
}

/** [2, 3, side, side], as a user normalises images. */
function images(sidePx: number): Float32Array {
  const uniform = drawsOf({ seed: 2, purpose: 'images' })
  return Float32Array.from({ length: 2 * 3 * sidePx * sidePx }, () => 2 * uniform() - 1)
}

/** As the lab's own engine computes them. */
async function features(of: BackboneSpec, tensors: NamedTensors): Promise<Float32Array> {
  const state = Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [`backbone.${name}`, data]))
  const session = await createExecutor('onnx', { threads: 1 }).load(featuresStep(of, 2), state)
  const patches = patchesOfChannels(images(of.imagePx), 2, of.imagePx, of.patchPx, null)
  const { features } = await session.run({ patches }, {})
  await session.dispose()
  return features!
}

let root: string
let store: ObjectStore
const parameters = backboneParameters(spec.backbone)
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cxrlab-weights-'))
  store = await openObjectStore(`file://${root}`)
  const learner = learnerOf(spec)
  const tensors = { ...noisy(parameters, 'target.'), ...noisy(parameters, 'online.') }
  expect(Object.keys(tensors).every((name) => name in learner.step.signature.state)).toBe(true)
  await createCheckpointStore(store, PRETRAIN.id, 1).save({ step: 9, meta: {}, tensors }, 'best')
  const classifier = {
    ...noisy(parameters, 'backbone.'),
    ...noisy(
      [
        { name: 'head.weight', shape: [1, 24] },
        { name: 'head.bias', shape: [1] },
      ],
      '',
    ),
  }
  const data = await putArtifact(store, EVALUATE.id, 'classifier.safetensors', encodeSafetensors(classifier))
  await writeManifest(store, 'classifier.json', { runId: EVALUATE.id, semantics: 1, files: [data], meta: { labels: '["male"]' } })
})
afterAll(() => rm(root, { recursive: true }))

describe('exported weights', () => {
  it.each(['target', 'online'] as const)("are the %s network under timm's names, with what a user must know", async (network) => {
    const loaded = await loadForExport(store, PRETRAIN, null, network)
    const file = decodeSafetensors(exportWeights(loaded, 'safetensors', '1.2.3'), 'the export')
    expect(Object.keys(file.tensors).sort()).toEqual(parameters.map(({ name }) => name).sort())
    const expected = noisy(parameters, `${network}.`)
    for (const [name, { data }] of Object.entries(file.tensors)) expect(data, name).toEqual(expected[`${network}.${name}`]!.data)
    expect(file.metadata).toMatchObject({
      format: 'pt',
      architecture: 'vit_tiny_patch8_32',
      num_heads: '2',
      image_size: '32',
      mean: JSON.stringify(spec.normalisation.mean),
      resize: '37',
      network,
      run: PRETRAIN.id,
      version: 'cxrlab 1.2.3',
    })
  })

  it('of an evaluation carry its head and its own backbone where that was trained', async () => {
    const { tensors, origin } = await loadForExport(store, EVALUATE, PRETRAIN, null)
    expect(tensors['head.weight']!.shape).toEqual([1, 24])
    expect(tensors.cls_token!.data).toEqual(noisy(parameters, 'backbone.')['backbone.cls_token']!.data)
    expect(origin).toMatchObject({ labels: ['male'], resizePx: evaluateSpec.resizePx, method: 'msn, finetune' })
    const linear = { ...EVALUATE, spec: evaluateSpec }
    const frozen = await loadForExport(store, linear, PRETRAIN, null)
    expect(frozen.tensors.cls_token!.data).toEqual(noisy(parameters, 'target.')['target.cls_token']!.data)
  })

  it("as an ONNX encoder give the lab's own features to a runtime of another operator set, for any batch", async () => {
    const loaded = await loadForExport(store, PRETRAIN, null, 'target')
    const model = exportWeights(loaded, 'onnx', '1.2.3')
    const session = await ort.InferenceSession.create(model)
    const expected = await features(spec.backbone, loaded.tensors)
    const side = spec.backbone.imagePx
    const all = images(side)
    for (const batch of [2, 1]) {
      const image = new ort.Tensor('float32', all.slice(0, (batch * all.length) / 2), [batch, 3, side, side])
      const { features } = await session.run({ image })
      expect(features!.dims).toEqual([batch, 24])
      const found = features!.data as Float32Array
      const worst = Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)))
      expect(worst).toBeLessThan(1e-5)
    }
    expect(Math.max(...expected)).toBeGreaterThan(0.5)
    await session.release()
  })

  it('do not exist for what trains nothing, or has no such network', async () => {
    const prepare = { ...PRETRAIN, spec: presetPrepare('tiny-cpu', 'made') }
    await expect(loadForExport(store, prepare, null, null)).rejects.toThrow('only a pretraining')
    const none = { kind: 'pretrain', method: 'none', seed: 1, backbone: spec.backbone } as const
    await expect(loadForExport(store, { ...PRETRAIN, spec: none }, null, 'target')).rejects.toThrow('no target network')
    await expect(loadForExport(store, EVALUATE, PRETRAIN, 'online')).rejects.toThrow('used the target network')
  })
})

describe("a file in timm's layout", () => {
  const tensors = noisy(parameters, '')

  it('becomes the online network that evaluations start from, and comes out again as it went in', () => {
    const head = { 'head.weight': { shape: [1000, 24], data: new Float32Array(24_000) } }
    const online = fromTimm(spec.backbone, { ...tensors, ...head })
    expect(timmBackbone(spec.backbone, online, 'online')).toEqual(tensors)
  })

  it('is read back by the safetensors reader without loss', () => {
    const bytes = encodeSafetensors(tensors, { format: 'pt' })
    expect(fromTimm(spec.backbone, float32Tensors(decodeSafetensors(bytes, 'it'), 'it'))).toEqual(
      fromTimm(spec.backbone, tensors),
    )
  })

  const { 'norm.bias': _, ...lacking } = tensors
  it.each<[string, NamedTensors, string]>([
    ['lacks a tensor', lacking, 'the file lacks norm.bias'],
    ['holds another', { ...tensors, dist_token: tensors.cls_token! }, 'the file holds dist_token'],
    [
      'has another size',
      { ...tensors, pos_embed: { shape: [1, 197, 24], data: new Float32Array(197 * 24) } },
      'pos_embed of shape [1,197,24], vit-tiny has [1,17,24]',
    ],
    [
      'has a value that is none',
      { ...tensors, 'norm.bias': { shape: [24], data: new Float32Array(24).fill(Number.NaN) } },
      'norm.bias with a value that is not finite',
    ],
  ])('is refused by the name of the tensor where it %s', (_what, wrong, message) => {
    expect(() => fromTimm(spec.backbone, wrong)).toThrow(message)
  })
})
