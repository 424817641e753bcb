import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EXIT } from '../exit-codes.ts'
import { cli } from '../testing/run-cli.ts'

const SHA = 'c0ffee'.padEnd(64, '0')

async function fileOf(text: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cxrlab-import-'))
  onTestFinished(async () => await rm(dir, { recursive: true }))
  const path = join(dir, 'vit.safetensors')
  await writeFile(path, text)
  return path
}

describe('cxrlab import', () => {
  it('sends the file as it is, and says how a grid names it', async () => {
    const path = await fileOf('the bytes')
    const body = { sha256: SHA, sizeBytes: 9, sizes: { dim: 384, depth: 12, patchPx: 16, imagePx: 224 } }
    const { code, out, seen } = await cli(['import', path], { 'POST /v1/weights': { status: 201, body } })
    expect(code).toBe(EXIT.ok)
    expect(seen[0]).toMatchObject({ body: 'the bytes', headers: { 'content-type': 'application/octet-stream' } })
    expect(out).toContain(`weights: ${SHA}`)
    expect(out).toContain('width 384, 12 blocks, patches of 16 px, images of 224 px')
  })

  it('says what the server found wrong with the file', async () => {
    const body = { status: 422, code: 'artifact-mismatch', detail: 'the imported file lacks cls_token', errors: [] }
    const { code, err } = await cli(['import', await fileOf('x')], { 'POST /v1/weights': { status: 422, body } })
    expect(code).toBe(EXIT.refused)
    expect(err).toContain('lacks cls_token')
  })

  it('names a file that cannot be read, and asks the server nothing', async () => {
    const { code, err, seen } = await cli(['import', '/nowhere/vit.safetensors'])
    expect(code).toBe(EXIT.invalidFile)
    expect(err).toContain('/nowhere/vit.safetensors cannot be read (ENOENT)')
    expect(seen).toEqual([])
  })
})
