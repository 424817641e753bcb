/** DINO, MAE and a transfer in the worker's own child process, on phantom images. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeSafetensors } from '#libs/artifacts'
import { fingerprintDataset, makePhantomNih, preparePack } from '#libs/datasets'
import {
  type EvaluateSpec,
  presetEvaluate,
  presetPrepare,
  presetTransfer,
  type RunSpec,
  resolvePretrain,
  type TrainedMethod,
  type TrainedMode,
  type TrainedPretrainSpec,
} from '#libs/experiments'
import type { AssignmentMessage, FromChild } from '#libs/training'
import { pretrainAssignment as assignmentOf, type ChildLab, openChildLab, runChild } from './fixtures/real-child.ts'

const MINI = { batch: 16, epochs: 2, backbone: { dim: 48, depth: 2, heads: 2, imagePx: 32, patchPx: 8 } }
const OWN = {
  msn: { prototypes: { count: 8 }, views: { focalCount: 1, focalPx: 16 } },
  dino: { views: { localPx: 16 }, head: { hiddenDim: 32, bottleneckDim: 16, outDim: 16 } },
  mae: { decoder: { dim: 24, depth: 1, heads: 2 } },
} as const
const OTHER_PACK = '0b'.repeat(32)

let lab: ChildLab
beforeAll(async () => {
  lab = await openChildLab()
}, 60_000)
afterAll(async () => {
  await lab.close()
})

const idOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)

function pretrainSpec(method: TrainedMethod): TrainedPretrainSpec {
  const choice = { dataset: 'phantom', seed: 4, backbone: 'vit-tiny', ehr: null } as const
  const { spec, problems } = resolvePretrain(method, 'tiny-cpu', choice, { pretrain: MINI, [method]: OWN[method] })
  if (!spec) throw new Error(JSON.stringify(problems))
  return spec
}

/** What the child says at its end. */
async function done(runId: string, spec: RunSpec, upstream: AssignmentMessage['upstream']) {
  const [packOfPretraining] = assignmentOf(runId, spec).upstream
  const assignment = assignmentOf(runId, spec, { upstream: upstream.length > 0 ? upstream : [packOfPretraining!] })
  const { exit, messages, why } = await runChild(lab.storeUrl, assignment)
  expect(exit.code, why).toBe(0)
  const last = messages.at(-1)!
  if (last.type !== 'done') throw new Error(`the child ended with ${last.type}`)
  return { last, messages }
}

const packOf = (runId: string) => ({ runId, kind: 'prepare', pretrain: null }) as const
const phantomPack = () => assignmentOf(idOf('x'), pretrainSpec('msn')).upstream[0]!

function evaluateSpec(method: TrainedMethod, mode: TrainedMode, over: Partial<EvaluateSpec> = {}): EvaluateSpec {
  const choice = { dataset: 'phantom', mode, labels: 'sex', labelFraction: 1, seed: 4 } as const
  const spec = presetEvaluate('tiny-cpu', choice, method)
  return { ...spec, resizePx: 36, batch: 16, epochs: 3, bootstrap: { ...spec.bootstrap, resamples: 20 }, ...over }
}

const metric = (last: Extract<FromChild, { type: 'done' }>, name: string) =>
  last.results.find((row) => row.label === 'macro' && row.metric === name)?.value

describe.each(['dino', 'mae'] as const)('a %s run of the worker', (method) => {
  const runId = idOf(`pretrain ${method}`)
  const spec = pretrainSpec(method)

  it('pretrains, reports its diagnostics and leaves a checkpoint that is evaluated', async () => {
    const { last, messages } = await done(runId, spec, [])
    expect(last.summary).toMatchObject({ steps: 8, images: 128 })
    expect(last.artifacts.length).toBeGreaterThan(0)
    const names = new Set(messages.flatMap((one) => (one.type === 'metrics' ? one.points.map(([, name]) => name) : [])))
    expect([...names]).toEqual(expect.arrayContaining(['loss', 'gradNorm', 'lr', method === 'dino' ? 'kl' : 'explained']))
    const evaluated = await done(idOf(`evaluate ${method}`), evaluateSpec(method, 'linear-cached'), [
      { runId, kind: 'pretrain', pretrain: spec },
      phantomPack(),
    ])
    expect(metric(evaluated.last, 'auroc')).toBeGreaterThan(0)
    expect(evaluated.last.artifacts.map(({ name }) => name)).toEqual([
      'predictions.safetensors',
      'classifier.safetensors',
      'classifier.json',
    ])
  }, 120_000)
})

describe('a transfer run of the worker', () => {
  const pretrain = pretrainSpec('mae')
  const pretrainId = idOf('pretrain for transfer')
  const upstreamOf = (evaluate: EvaluateSpec, pack: string): AssignmentMessage['upstream'] => [
    { runId: idOf(`trained ${evaluate.mode}`), kind: 'evaluate', pretrain: null, evaluate },
    { runId: pretrainId, kind: 'pretrain', pretrain },
    packOf(pack),
  ]
  const transferSpec = (mode: TrainedMode) => {
    const trainedOn = { dataset: 'phantom', mode }
    const spec = presetTransfer('tiny-cpu', { dataset: 'other', trainedOn, labels: 'sex', labelFraction: 1, seed: 4 })
    return { ...spec, resizePx: 36, batch: 16, bootstrap: { ...spec.bootstrap, resamples: 20 } }
  }

  beforeAll(async () => {
    const root = join(lab.dataset.root, '..', 'other')
    await makePhantomNih(root, { images: 64, patients: 48, seed: 9 })
    await preparePack({
      store: lab.store,
      runId: OTHER_PACK,
      semantics: 1,
      dataset: { name: 'other', kind: 'nih14', root, fingerprint: await fingerprintDataset({ kind: 'nih14', root }) },
      spec: { ...presetPrepare('tiny-cpu', 'other'), sidePx: 64 },
      onProgress: () => undefined,
      stopRequested: () => false,
    })
    await done(pretrainId, pretrain, [])
  }, 120_000)

  it.each(['linear-cached', 'finetune'] as const)(
    'tests a %s classifier on other images, and on its own as it tested itself',
    async (mode) => {
      const evaluate = evaluateSpec('mae', mode)
      const [trainedId, ownPack] = [idOf(`trained ${mode}`), phantomPack().runId]
      const trained = await done(trainedId, evaluate, [{ runId: pretrainId, kind: 'pretrain', pretrain }, packOf(ownPack)])
      const scoresOf = async (runId: string) => {
        const { tensors } = decodeSafetensors(await lab.store.get(`runs/${runId}/predictions.safetensors`), 'predictions')
        return tensors.scores!.data
      }
      const again = await done(idOf(`own ${mode}`), transferSpec(mode), upstreamOf(evaluate, ownPack))
      expect(metric(again.last, 'auroc')).toBe(metric(trained.last, 'auroc'))
      expect(await scoresOf(idOf(`own ${mode}`))).toEqual(await scoresOf(trainedId))
      const elsewhere = await done(idOf(`other ${mode}`), transferSpec(mode), upstreamOf(evaluate, OTHER_PACK))
      expect(elsewhere.last.summary.testImages).not.toBe(trained.last.summary.testImages)
      expect(elsewhere.last.artifacts.map(({ name }) => name)).toEqual(['predictions.safetensors'])
    },
    180_000,
  )

  it('ends as a spec error where the evaluation before it left no classifier', async () => {
    const evaluate = evaluateSpec('mae', 'linear')
    const assignment = assignmentOf(idOf('nothing'), transferSpec('linear'), { upstream: upstreamOf(evaluate, OTHER_PACK) })
    const { exit, messages } = await runChild(lab.storeUrl, assignment)
    expect(exit.code).toBe(64)
    expect(messages.at(-1)).toMatchObject({
      type: 'failed',
      ending: 'spec-error',
      message: expect.stringContaining('no classifier'),
    })
  }, 60_000)
})

it('a spec that asks for bfloat16 ends as a spec error on an engine that has none', async () => {
  const spec = { ...pretrainSpec('dino'), precision: 'bfloat16' as const }
  const { exit, messages } = await runChild(lab.storeUrl, assignmentOf(idOf('bf16'), spec))
  expect(exit.code).toBe(64)
  expect(messages.at(-1)).toMatchObject({ message: expect.stringMatching(/bfloat16 needs the tensorflow engine.*precision/) })
}, 60_000)
