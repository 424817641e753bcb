import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createCheckpointStore, decodeSafetensors, type ObjectStore, openObjectStore } from '#libs/artifacts'
import { resolvePretrain } from '#libs/experiments'
import { backboneInitialState, backboneParameters } from '#libs/msn'
import { initDraws } from '#libs/training'
import { EXIT } from '../exit-codes.ts'
import { type Answer, cli } from '../testing/run-cli.ts'

const RUN = 'ab'.repeat(32)
const backbone = { dim: 24, depth: 2, heads: 2, imagePx: 32, patchPx: 8 }
const choice = { dataset: 'made', seed: 5, backbone: 'vit-tiny', ehr: null } as const
const { spec } = resolvePretrain('msn', 'tiny-cpu', choice, { pretrain: { backbone, views: { focalPx: 16 } } })
if (!spec) throw new Error('the test has no spec')

let home: string
let answers: Record<string, Answer>

/** The api's answers for a run whose files lie in `store`. */
async function answersOf(store: ObjectStore): Promise<Record<string, Answer>> {
  const prefix = `runs/${RUN}/`
  const files: { path: string; sizeBytes: number }[] = []
  const made: Record<string, Answer> = {
    'GET /v1/runs/abab': { body: { id: RUN, semantics: 1, spec, upstream: [] } },
    [`GET /v1/runs/${RUN}/artifacts`]: { body: { artifacts: [], files } },
  }
  for await (const { key, sizeBytes } of store.list(prefix)) {
    const path = key.slice(prefix.length)
    files.push({ path, sizeBytes })
    made[`GET /v1/runs/${RUN}/artifacts/${path}?stream=true`] = { body: await store.get(key) }
  }
  return made
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cxrlab-export-'))
  onTestFinished(async () => await rm(home, { recursive: true }))
  const store = await openObjectStore(pathToFileURL(join(home, 'store')).href)
  const state = backboneInitialState(spec.backbone, initDraws(5))
  const tensors = Object.fromEntries(
    backboneParameters(spec.backbone).map(({ name, shape }) => [`target.${name}`, { shape, data: state[`backbone.${name}`]! }]),
  )
  await createCheckpointStore(store, RUN, 1).save({ step: 3, meta: {}, tensors }, 'best')
  answers = await answersOf(store)
})

describe('cxrlab export', () => {
  it("writes the selected checkpoint's target network under timm's names", async () => {
    const file = join(home, 'out.safetensors')
    const { code, out, err } = await cli(['export', 'abab', '--out', file], answers)
    expect(err).toBe('')
    expect(code).toBe(EXIT.ok)
    expect(out).toMatch(/out\.safetensors: the target network of run abababababab, \d+ bytes/)
    const { tensors, metadata } = decodeSafetensors(await readFile(file), 'the export')
    expect(Object.keys(tensors)).toContain('blocks.1.attn.qkv.weight')
    expect(metadata).toMatchObject({ run: RUN, network: 'target', architecture: 'vit_tiny_patch8_32' })
  })

  it('writes an ONNX encoder, and says so in JSON', async () => {
    const file = join(home, 'out.onnx')
    const { code, out } = await cli(['export', 'abab', '--format', 'onnx', '--out', file, '--json'], answers)
    expect(code).toBe(EXIT.ok)
    expect(JSON.parse(out)).toEqual({
      run: RUN,
      network: 'target',
      format: 'onnx',
      file,
      sizeBytes: (await readFile(file)).byteLength,
    })
  })

  it.each([
    [
      'a network that the checkpoint does not hold',
      ['--network', 'online'],
      EXIT.refused,
      'the checkpoint has no online network',
    ],
    ['a file that cannot be written', ['--out', '/nowhere/out'], EXIT.invalidFile, '/nowhere/out cannot be written (ENOENT)'],
    ['a format that nobody knows', ['--format', 'h5'], EXIT.usage, 'Allowed choices are safetensors, onnx'],
  ])('says in one line what is wrong with %s', async (_what, args, exit, message) => {
    const { code, err } = await cli(['export', 'abab', ...args], answers)
    expect(code).toBe(exit)
    expect(err).toContain(message)
  })

  it('refuses damaged bytes by the name of the file', async () => {
    const state = Object.keys(answers).find((line) => line.includes('state-'))!
    const bytes = Buffer.from(answers[state]!.body as Buffer)
    bytes[bytes.byteLength - 1]! ^= 1
    const { code, err } = await cli(['export', 'abab', '--out', join(home, 'out')], { ...answers, [state]: { body: bytes } })
    expect(code).toBe(EXIT.refused)
    expect(err).toMatch(/state-[0-9a-f]{16}\.safetensors" has SHA-256/)
  })
})
