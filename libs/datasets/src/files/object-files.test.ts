import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openObjectStore } from '#libs/artifacts'
import { makePhantomChexpert, makePhantomMimic, makePhantomNih, readerOf } from '../index.ts'
import type { DatasetSource } from '../source.ts'
import { folderFiles } from './folder-files.ts'
import { objectFiles } from './object-files.ts'

const SIZE = { images: 20, patients: 14, seed: 1 }
const OPTIONS = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'fail',
  validationFraction: 0.1,
  splitSeed: 1,
} as const
const PHANTOMS = [
  ['nih14', makePhantomNih],
  ['mimic-cxr', makePhantomMimic],
  ['chexpert', makePhantomChexpert],
] as const

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'object-files-'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

it.each(PHANTOMS)('a data set of kind %s reads from an object store as from a folder', async (kind, make) => {
  const root = join(home, kind)
  await make(root, SIZE)
  const source = (files: ReturnType<typeof folderFiles>, mimicIv: ReturnType<typeof folderFiles>): DatasetSource => ({
    root: files,
    mimicIv: kind === 'mimic-cxr' ? mimicIv : null,
    split: null,
    options: { mimicIv: null, split: null, splitRule: 'official' },
  })
  const store = await openObjectStore(`file://${root}`)
  const iv = kind === 'mimic-cxr' ? await openObjectStore(`file://${root}/mimic-iv`) : store
  const local = source(folderFiles(root, 'root'), folderFiles(join(root, 'mimic-iv'), 'mimicIv'))
  const remote = source(objectFiles(store), objectFiles(iv))
  const reader = readerOf(kind)
  const [here, there] = [await reader.inventory(local), await reader.inventory(remote)]
  expect(there.images).toEqual(here.images)
  expect(there.tables.map(({ name }) => name)).toEqual(here.tables.map(({ name }) => name))
  expect(await reader.read(remote, there, OPTIONS)).toEqual(await reader.read(local, here, OPTIONS))
})

it('lists the store once, copies a table once, and removes the copies', async () => {
  const root = join(home, 'nih14')
  const store = await openObjectStore(`file://${root}`)
  let lists = 0
  const files = objectFiles({
    get: (key) => store.get(key),
    stream: (key) => store.stream(key),
    list: (prefix) => {
      lists++
      return store.list(prefix)
    },
  })
  expect(await files.names('')).toEqual((await readdir(root)).sort())
  expect(await files.names('images_001')).toEqual(['images'])
  expect(await files.names('nowhere')).toEqual([])
  expect(await files.sizes(['test_list.txt', 'nowhere'])).toEqual([
    (await readFile(join(root, 'test_list.txt'))).length,
    undefined,
  ])
  expect(lists).toBe(1)
  const [copy, again] = await Promise.all([files.localPath('test_list.txt'), files.localPath('test_list.txt')])
  expect(again).toBe(copy)
  expect(await readFile(copy)).toEqual(await readFile(join(root, 'test_list.txt')))
  await files.close()
  await expect(readFile(copy)).rejects.toThrow('ENOENT')
  expect((await readdir(dirname(dirname(copy)))).some((name) => copy.includes(name) && name.startsWith('cxrlab-tables'))).toBe(
    false,
  )
})

it('folders: names, sizes, and a root that is not there', async () => {
  const root = join(home, 'few')
  await cp(join(home, 'nih14'), root, { recursive: true })
  const files = folderFiles(root, 'root')
  expect(await files.names('nowhere')).toEqual([])
  expect(await files.sizes(['nowhere', 'images_001'])).toEqual([undefined, undefined])
  await expect(folderFiles(join(home, 'none'), 'mimicIv').names('')).rejects.toThrow('cannot be read (mimicIv)')
})
