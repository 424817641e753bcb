import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createCheckpointStore } from './checkpoint-store.ts'
import { openFolderStore } from './folder/folder-store.ts'
import { artifactKey } from './manifest.ts'
import type { ObjectStore } from './object-store.ts'

const RUN = 'c'.repeat(64)
const checkpoint = (step: number) => ({
  step,
  meta: {},
  tensors: { weight: { shape: [2], data: Float32Array.of(step, 1) } },
})

let folder: string
let store: ObjectStore
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'))
  store = await openFolderStore(folder)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

it('names the last best and the final state, though another writer committed the best, and all of them are there', async () => {
  const killed = createCheckpointStore(store, RUN, 1)
  await killed.save(checkpoint(4), 'best')
  await killed.save(checkpoint(8), 'best')
  await killed.save(checkpoint(9), 'periodic')
  await killed.collected()
  const resumed = createCheckpointStore(store, RUN, 1)
  await resumed.save(checkpoint(12), 'final')
  await resumed.collected()
  const kept = await resumed.kept()
  expect(kept.map(({ name }) => name.split('/')[1])).toEqual(['00000008', '00000012'])
  for (const { name } of kept) expect(await store.head(artifactKey(RUN, name)), name).toBeDefined()
})

it('names a state once that is both', async () => {
  const checkpoints = createCheckpointStore(store, RUN, 1)
  await checkpoints.save(checkpoint(12), 'best')
  await checkpoints.save(checkpoint(12), 'final')
  await checkpoints.collected()
  expect(await checkpoints.kept()).toHaveLength(1)
})
