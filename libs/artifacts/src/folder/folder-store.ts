/** The object store in a folder: a key is a path below the root. Safe for several processes on one file system. */
import { createHash, randomUUID } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { access, type FileHandle, link, mkdir, open, readdir, readFile, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { ObjectExistsError, ObjectNotFoundError, ObjectRangeError, StoreAccessError } from '../errors.ts'
import {
  checkKey,
  checkPrefix,
  checkRange,
  type ObjectBody,
  type ObjectHead,
  type ObjectStore,
  type PutOptions,
  type StoredObject,
  type Unfinished,
} from '../object-store.ts'

/** Keys never start with a dot, so a temporary file is no object. */
const TEMPORARY = '.put-'
/** A `delete` may remove the emptied folder between our mkdir and open. */
const OPEN_TRIES = 5

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

/**
 * Opens a folder, made where it is missing.
 * @throws StoreAccessError that names the folder where it cannot be written.
 */
export async function openFolderStore(root: string): Promise<ObjectStore> {
  try {
    await mkdir(root, { recursive: true })
    await access(root, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new StoreAccessError(`the object store's folder ${root} cannot be written (${codeOf(error)})`, { cause: error })
  }
  return new FolderStore(root)
}

class FolderStore implements ObjectStore {
  readonly url: string
  readonly #root: string

  constructor(root: string) {
    this.#root = root
    this.url = pathToFileURL(root).href
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<StoredObject> {
    const path = this.#path(key)
    const temporary = join(dirname(path), `${TEMPORARY}${randomUUID()}`)
    try {
      if (options.ifAbsent && (await this.head(key))) throw new ObjectExistsError(key)
      const stored = await writeDurably(temporary, body)
      // `link` fails where the name is taken, on any number of racing processes; `rename` replaces in one step.
      if (options.ifAbsent) await link(temporary, path)
      else await rename(temporary, path)
      await syncFolder(dirname(path))
      return stored
    } catch (error) {
      if (codeOf(error) === 'EEXIST' && options.ifAbsent) throw new ObjectExistsError(key)
      throw isMissing(error) ? this.#noAccess(error, key, 'written') : this.#explain(error, key, 'written')
    } finally {
      await unlink(temporary).catch(ignoreMissing)
    }
  }

  async get(key: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(key))
    } catch (error) {
      throw this.#explain(error, key, 'read')
    }
  }

  async getRange(key: string, start: number, length: number): Promise<Buffer> {
    checkRange(key, start, length)
    let file: FileHandle | undefined
    try {
      file = await open(this.#path(key), 'r')
      const buffer = Buffer.allocUnsafe(length)
      const { bytesRead } = await file.read(buffer, 0, length, start)
      if (bytesRead < length) throw new ObjectRangeError(key, start, length)
      return buffer
    } catch (error) {
      throw this.#explain(error, key, 'read')
    } finally {
      await file?.close()
    }
  }

  async stream(key: string): Promise<Readable> {
    try {
      const file = await open(this.#path(key), 'r')
      if ((await file.stat()).isDirectory()) {
        await file.close()
        throw new ObjectNotFoundError(key)
      }
      return createReadStream('', { fd: file })
    } catch (error) {
      throw this.#explain(error, key, 'read')
    }
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    try {
      const found = await stat(this.#path(key))
      return found.isFile() ? { key, sizeBytes: found.size, modifiedAt: found.mtime } : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw this.#explain(error, key, 'read')
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectHead> {
    checkPrefix(prefix)
    const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : ''
    const keys: string[] = []
    await collectKeys(folder === '' ? this.#root : this.#path(folder), folder, keys)
    for (const key of keys.filter((name) => name.startsWith(prefix)).sort()) {
      const found = await this.head(key)
      if (found) yield found
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    try {
      await unlink(path)
    } catch (error) {
      if (isMissing(error) || codeOf(error) === 'EISDIR' || codeOf(error) === 'EPERM') return
      throw this.#explain(error, key, 'deleted')
    }
    // Emptied folders go too, as a store of plain keys has none; a folder in use stops the climb.
    for (let folder = dirname(path); folder.length > this.#root.length; folder = dirname(folder)) {
      const gone = await rmdir(folder).then(
        () => true,
        () => false,
      )
      if (!gone) return
    }
  }

  async removeUnfinished(before: Date, { dryRun }: { readonly dryRun: boolean }): Promise<Unfinished> {
    let count = 0
    let sizeBytes = 0
    for (const path of await temporaryFiles(this.#root)) {
      // A writer that finishes meanwhile takes its file away under our eyes.
      const found = await stat(path).catch(ignoreMissing)
      if (!found || found.mtime >= before) continue
      if (!dryRun) await unlink(path).catch(ignoreMissing)
      count++
      sizeBytes += found.size
    }
    return { count, sizeBytes }
  }

  /** A folder has no address that outsiders can fetch. */
  async presignGet(key: string): Promise<null> {
    checkKey(key)
    return null
  }

  #path(key: string): string {
    return join(this.#root, ...checkKey(key).split('/'))
  }

  #explain(error: unknown, key: string, what: string): unknown {
    if (isMissing(error) || codeOf(error) === 'EISDIR') return new ObjectNotFoundError(key, { cause: error })
    if (codeOf(error) === undefined || !(error instanceof Error) || !('syscall' in error)) return error
    return this.#noAccess(error, key, what)
  }

  #noAccess(error: unknown, key: string, what: string): StoreAccessError {
    return new StoreAccessError(`"${key}" cannot be ${what} in the folder ${this.#root} (${codeOf(error)})`, { cause: error })
  }
}

const isMissing = (error: unknown) => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'

function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

async function openNew(path: string): Promise<FileHandle> {
  for (let left = OPEN_TRIES; ; left--) {
    await mkdir(dirname(path), { recursive: true })
    try {
      return await open(path, 'wx')
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || left === 1) throw error
    }
  }
}

async function writeDurably(path: string, body: ObjectBody): Promise<StoredObject> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const file = await openNew(path)
  try {
    const chunks = body instanceof Uint8Array ? [body] : body
    for await (const chunk of chunks) {
      hash.update(chunk)
      sizeBytes += chunk.byteLength
      await file.writeFile(chunk)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { sha256: hash.digest('hex'), sizeBytes }
}

/** Makes the new name itself durable. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function temporaryFiles(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.startsWith(TEMPORARY))
    .map((entry) => join(entry.parentPath, entry.name))
}

async function collectKeys(folder: string, key: string, keys: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    if (isMissing(error)) return []
    throw error
  })
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const child = key === '' ? entry.name : `${key}/${entry.name}`
    if (entry.isDirectory()) await collectKeys(join(folder, entry.name), child, keys)
    else if (entry.isFile()) keys.push(child)
  }
}
