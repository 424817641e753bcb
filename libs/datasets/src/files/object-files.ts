/** Files of a data set in an object store, for reading alone. */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ObjectStore } from '#libs/artifacts'
import type { DatasetFiles } from './dataset-files.ts'

export type ReadableStore = Pick<ObjectStore, 'get' | 'stream' | 'list'>

/** The store is listed once: 377,110 images are 378 pages, while a question for each would take hours. */
export function objectFiles(store: ReadableStore): DatasetFiles {
  let listing: Promise<ReadonlyMap<string, number>> | undefined
  const listed = () => {
    listing ??= sizesIn(store)
    return listing
  }
  const copies = new LocalCopies(store)
  return {
    async names(folder) {
      const prefix = folder === '' ? '' : `${folder}/`
      const names = new Set<string>()
      for (const key of (await listed()).keys()) {
        if (key.startsWith(prefix)) names.add(key.slice(prefix.length).split('/', 1)[0]!)
      }
      return [...names].sort()
    },
    async sizes(files) {
      const known = await listed()
      return files.map((file) => known.get(file))
    },
    read: (file) => store.get(file),
    stream: (file) => store.stream(file),
    localPath: (file) => copies.path(file),
    image: (file) => store.get(file),
    close: () => copies.remove(),
  }
}

async function sizesIn(store: ReadableStore): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>()
  for await (const { key, sizeBytes } of store.list('')) sizes.set(key, sizeBytes)
  return sizes
}

/** Tables are copied to a folder of this process alone (mode 700), each once. */
class LocalCopies {
  readonly #store: ReadableStore
  readonly #paths = new Map<string, Promise<string>>()
  #home: Promise<string> | undefined

  constructor(store: ReadableStore) {
    this.#store = store
  }

  path(file: string): Promise<string> {
    const known = this.#paths.get(file)
    if (known) return known
    const copying = this.#copy(file)
    this.#paths.set(file, copying)
    return copying
  }

  async remove(): Promise<void> {
    this.#paths.clear()
    const home = await this.#home
    this.#home = undefined
    if (home) await rm(home, { recursive: true, force: true })
  }

  async #copy(file: string): Promise<string> {
    this.#home ??= mkdtemp(join(tmpdir(), 'cxrlab-tables-'))
    const path = join(await this.#home, `${this.#paths.size}-${basename(file)}`)
    await pipeline(await this.#store.stream(file), createWriteStream(path, { mode: 0o600 }))
    return path
  }
}
