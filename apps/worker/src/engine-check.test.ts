import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkEngine } from './engine-check.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cxrlab-engine-check-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function program(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
const childEnvironment = { PATH: process.env.PATH ?? '' }

describe('the engine check of a worker', () => {
  it('lets the worker start where its process ends well', async () => {
    const entry = await program('good.mjs', 'process.exitCode = 0')
    await expect(checkEngine({ engine: 'tensorflow', childEnvironment }, entry)).resolves.toBeUndefined()
  })

  it('refuses with the last line that its process wrote', async () => {
    const entry = await program(
      'bad.mjs',
      "console.error('noise'); console.error('the loss of step 0 is wrong'); process.exitCode = 1",
    )
    await expect(checkEngine({ engine: 'auto', childEnvironment }, entry)).rejects.toThrow(/^the loss of step 0 is wrong$/)
  })

  it('refuses where its process dies without a word', async () => {
    const entry = await program('killed.mjs', "process.kill(process.pid, 'SIGKILL')")
    await expect(checkEngine({ engine: 'tensorflow', childEnvironment }, entry)).rejects.toThrow(/SIGKILL/)
  })

  it.each(['onnx', 'eager'] as const)('starts no process for %s', async (engine) => {
    const entry = await program('never.mjs', 'process.exitCode = 1')
    await expect(checkEngine({ engine, childEnvironment }, entry)).resolves.toBeUndefined()
  })
})
