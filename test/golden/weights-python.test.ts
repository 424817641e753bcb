/**
 * Exported weights in the hands of others: a plain torch ViT on the safetensors file, and Python's ONNX Runtime on the encoder, give
 * the features that the lab's own engine gives. WEIGHTS_PYTHON names a Python with torch, numpy and onnxruntime (default python3).
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { createExecutor } from '#libs/engine'
import { presetBackbone } from '#libs/experiments'
import { backboneInitialState, featuresStep, patchesOfChannels } from '#libs/msn'
import { drawsOf, initDraws } from '#libs/training'
import { exportWeights, timmBackbone } from '#libs/weights'

const PYTHON = process.env.WEIGHTS_PYTHON ?? 'python3'
const SCRIPT = fileURLToPath(new URL('./weights_reference.py', import.meta.url))
const BATCH = 3
const TOLERANCE = 1e-4

const hasPython = spawnSync(PYTHON, ['-c', 'import numpy, onnxruntime, torch']).status === 0
if (!hasPython)
  console.warn(`weights in Python: skipped: ${PYTHON} has no torch, numpy and onnxruntime (WEIGHTS_PYTHON names another)`)

const home = mkdtempSync(join(tmpdir(), 'cxrlab-weights-'))
afterAll(() => rmSync(home, { recursive: true }))

it.skipIf(!hasPython).each([
  ['vit-tiny', 'tiny-cpu'],
  ['vit-small', 'msn'],
] as const)(
  '%s of preset %s has the same features in torch, in ONNX Runtime and in the lab (skipped without Python)',
  async (name, preset) => {
    const backbone = presetBackbone(preset, name)
    const state = backboneInitialState(backbone, initDraws(7))
    const shapes = featuresStep(backbone, BATCH).signature.state
    // Initial weights are small and biases 0: moved, so that every tensor counts.
    const uniform = drawsOf({ seed: 7, purpose: 'moved' })
    for (const values of Object.values(state)) for (let i = 0; i < values.length; i++) values[i]! += 0.1 * (uniform() - 0.5)
    const checkpoint = Object.fromEntries(
      Object.entries(state).map(([key, data]) => [key.replace('backbone.', 'online.'), { shape: shapes[key]!, data }]),
    )
    const tensors = timmBackbone(backbone, checkpoint, 'online')
    const origin = {
      runId: 'ab'.repeat(32),
      backbone,
      normalisation: null,
      resizePx: null,
      network: 'online',
      method: 'none',
      labels: null,
    } as const
    const side = backbone.imagePx
    const images = Float32Array.from({ length: BATCH * 3 * side * side }, () => 4 * uniform() - 2)
    const path = (file: string) => join(home, `${name}.${file}`)
    writeFileSync(path('safetensors'), exportWeights({ tensors, origin }, 'safetensors', '0'))
    writeFileSync(path('onnx'), exportWeights({ tensors, origin }, 'onnx', '0'))
    writeFileSync(path('f32'), images)

    const session = await createExecutor('onnx', { threads: 2 }).load(featuresStep(backbone, BATCH), state)
    const { features } = await session.run({ patches: patchesOfChannels(images, BATCH, side, backbone.patchPx, null) }, {})
    await session.dispose()
    const answer = execFileSync(PYTHON, [SCRIPT, path('safetensors'), path('onnx'), path('f32'), String(BATCH)], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const found = JSON.parse(answer) as Record<'torch' | 'onnxruntime', number[]>
    for (const [who, values] of Object.entries(found)) {
      expect(values).toHaveLength(BATCH * backbone.dim)
      const worst = Math.max(...values.map((value, i) => Math.abs(value - features![i]!)))
      console.info(`${name}: features of ${who} within ${worst.toExponential(1)}`)
      expect(worst, who).toBeLessThan(TOLERANCE)
    }
  },
)
