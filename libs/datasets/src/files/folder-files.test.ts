import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderFiles } from './folder-files.ts'

async function dataset() {
  const base = await mkdtemp(join(tmpdir(), 'cxrlab-files-'))
  onTestFinished(async () => await rm(base, { recursive: true }))
  await mkdir(join(base, 'data/images'), { recursive: true })
  await writeFile(join(base, 'secret'), 'secret')
  await writeFile(join(base, 'data/..odd'), 'odd')
  await writeFile(join(base, 'data/images/a.png'), 'a')
  return folderFiles(join(base, 'data'), 'root')
}

describe('files of a folder', () => {
  it.each(['../secret', 'images/../../secret', '..', 'images/../..'])('never lie outside of it: %s', async (file) => {
    const files = await dataset()
    const refused = expect.objectContaining({ code: 'spec-error', message: expect.stringContaining('outside of the data set') })
    await expect(files.read(file)).rejects.toEqual(refused)
    await expect(files.stream(file)).rejects.toEqual(refused)
    await expect(files.image(file)).rejects.toEqual(refused)
    await expect(files.localPath(file)).rejects.toEqual(refused)
    await expect(files.sizes([file])).rejects.toEqual(refused)
    await expect(files.names(file)).rejects.toEqual(refused)
  })

  it('may have any name inside of it', async () => {
    const files = await dataset()
    expect(await files.sizes(['..odd', 'images/../images/a.png', '/images/a.png', 'none'])).toEqual([3, 1, 1, undefined])
    expect(await files.names('')).toEqual(['..odd', 'images'])
  })
})
