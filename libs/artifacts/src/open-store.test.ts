import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { InvalidKeyError, StoreUrlError } from './errors.ts'
import { openObjectStore } from './open-store.ts'

it('opens a folder by its file address, blanks and a trailing slash included', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cxrlab-open-'))
  const url = pathToFileURL(join(root, 'with blank')).href
  const store = await openObjectStore(`${url}/`)
  await store.put('a', Buffer.from('x'))
  expect(store.url).toBe(url)
  expect(await store.presignGet('a', 60)).toBeNull()
  await rm(root, { recursive: true })
})

it.each([
  '',
  'folder',
  '/abs/folder',
  'http://host/x',
  'file://relative/folder',
  's3://',
  's3://bucket?x=1',
  's3://key:secret@bucket/p',
])('refuses the address %j', async (url) => {
  await expect(openObjectStore(url)).rejects.toBeInstanceOf(StoreUrlError)
})

it('does not repeat credentials of an address in its error', async () => {
  await expect(openObjectStore('s3://key:hunter2@bucket/p')).rejects.toSatisfy(
    (error: Error) => !error.message.includes('hunter2'),
  )
})

it('refuses a prefix that is no key', async () => {
  await expect(openObjectStore('s3://bucket/a//b')).rejects.toBeInstanceOf(InvalidKeyError)
})
