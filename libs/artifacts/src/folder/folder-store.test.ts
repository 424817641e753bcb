import { chmod, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { objectStoreConformance } from '../conformance/object-store-conformance.ts'
import { openFolderStore } from './folder-store.ts'

objectStoreConformance('the folder store', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cxrlab-folder-store-'))
  return { store: await openFolderStore(root), close: () => rm(root, { recursive: true }) }
})

const isRoot = process.getuid?.() === 0
if (isRoot) console.warn('folder store: the test of a read-only folder is skipped: root may write anywhere')

describe('the folder store on disk', () => {
  let root: string
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'cxrlab-folder-store-'))
  })
  afterAll(() => rm(root, { recursive: true }))

  it('leaves no temporary file and no empty folder behind', async () => {
    const store = await openFolderStore(join(root, 'clean'))
    await store.put('a/b/c', Buffer.from('x'))
    await expect(store.put('a/b/c', Buffer.from('y'), { ifAbsent: true })).rejects.toThrow('already has')
    expect(await readdir(join(root, 'clean/a/b'))).toEqual(['c'])
    await store.delete('a/b/c')
    expect(await readdir(join(root, 'clean'))).toEqual([])
  })

  it('does not take a temporary file of a killed writer for an object', async () => {
    const store = await openFolderStore(join(root, 'killed'))
    await store.put('a/whole', Buffer.from('x'))
    await writeFile(join(root, 'killed/a/.put-left-over'), 'half')
    const keys: string[] = []
    for await (const { key } of store.list('')) keys.push(key)
    expect(keys).toEqual(['a/whole'])
  })

  it('removes what killed writers left, and leaves what is being written', async () => {
    const folder = join(root, 'unfinished')
    const store = await openFolderStore(folder)
    await store.put('a/whole', Buffer.from('x'))
    await writeFile(join(folder, 'a/.put-old'), 'half')
    await writeFile(join(folder, 'a/.put-now'), 'half')
    const hourAgo = new Date(Date.now() - 3_600_000)
    await utimes(join(folder, 'a/.put-old'), hourAgo, hourAgo)
    const before = new Date(Date.now() - 1_800_000)
    expect(await store.removeUnfinished(before, { dryRun: true })).toEqual({ count: 1, sizeBytes: 4 })
    expect(await readdir(join(folder, 'a'))).toHaveLength(3)
    expect(await store.removeUnfinished(before, { dryRun: false })).toEqual({ count: 1, sizeBytes: 4 })
    expect((await readdir(join(folder, 'a'))).sort()).toEqual(['.put-now', 'whole'])
  })

  it('names the folder where one cannot be made', async () => {
    await writeFile(join(root, 'file'), 'x')
    await expect(openFolderStore(join(root, 'file/store'))).rejects.toThrow(
      `folder ${join(root, 'file/store')} cannot be written (ENOTDIR)`,
    )
  })

  it.skipIf(isRoot)('names the folder without write permission (skipped for root, who may write anywhere)', async () => {
    const store = await openFolderStore(join(root, 'locked'))
    await store.put('a', Buffer.from('x'))
    await chmod(join(root, 'locked'), 0o500)
    await expect(openFolderStore(join(root, 'locked'))).rejects.toThrow('EACCES')
    await expect(store.put('b', Buffer.from('x'))).rejects.toThrow(`folder ${join(root, 'locked')} (EACCES)`)
    await chmod(join(root, 'locked'), 0o700)
  })
})
