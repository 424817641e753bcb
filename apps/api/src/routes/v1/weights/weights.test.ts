import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { encodeSafetensors } from '#libs/artifacts'
import { appOnFakes } from '../../../testing/app.ts'

const zeros = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) })
const file = (over: Parameters<typeof encodeSafetensors>[0] = {}) =>
  encodeSafetensors({
    cls_token: zeros(1, 1, 8),
    pos_embed: zeros(1, 17, 8),
    'patch_embed.proj.weight': zeros(8, 3, 4, 4),
    'blocks.0.norm1.weight': zeros(8),
    'blocks.1.norm1.weight': zeros(8),
    ...over,
  })
const headers = { 'content-type': 'application/octet-stream' }

describe('POST /v1/weights', () => {
  it('stores a file under its hash, once, and tells its sizes', async () => {
    const { app, lab } = await appOnFakes()
    const payload = file()
    const sha256 = createHash('sha256').update(payload).digest('hex')
    for (let time = 0; time < 2; time++) {
      const answer = await app.inject({ method: 'POST', url: '/v1/weights', headers, payload })
      expect(answer.statusCode).toBe(201)
      expect(answer.json()).toEqual({
        sha256,
        sizeBytes: payload.byteLength,
        sizes: { dim: 8, depth: 2, patchPx: 4, imagePx: 16 },
      })
    }
    expect(lab.files.get(`weights/${sha256}.safetensors`)).toEqual(payload)
  })

  it.each([
    ['no safetensors file', Buffer.from('{"a": 1}'), 'is not a valid safetensors file'],
    ['a file without patches', encodeSafetensors({ cls_token: zeros(1, 1, 8) }), 'lacks patch_embed.proj.weight'],
    ['a file whose positions are no square', file({ pos_embed: zeros(1, 18, 8) }), '18 positions'],
    ['a truncated file', file().subarray(0, -4), 'its tensors take'],
  ])('refuses %s with what is wrong, and stores nothing', async (_what, payload, message) => {
    const { app, lab } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/weights', headers, payload })
    expect(answer.statusCode).toBe(422)
    expect(answer.json()).toMatchObject({ code: 'artifact-mismatch', detail: expect.stringContaining(message) })
    expect([...lab.files.keys()].filter((key) => key.startsWith('weights/'))).toEqual([])
  })

  it('refuses JSON', async () => {
    const { app } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/weights', payload: { sha256: 'x' } })
    expect(answer.statusCode).toBe(422)
  })
})
