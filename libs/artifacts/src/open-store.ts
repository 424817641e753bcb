/** Opens an object store by its address. */
import { fileURLToPath } from 'node:url'
import { StoreUrlError } from './errors.ts'
import { openFolderStore } from './folder/folder-store.ts'
import { checkKey, type ObjectStore } from './object-store.ts'
import type { S3StoreOptions } from './s3/s3-store.ts'

export interface OpenStoreOptions {
  /** For `s3://` addresses only. */
  readonly s3?: S3StoreOptions
}

/**
 * `file:///absolute/folder` (made where missing) or `s3://bucket/prefix`.
 * @throws StoreUrlError where the address is neither, StoreAccessError where it cannot be written or reached.
 */
export async function openObjectStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol === 'file:') return openFolderStore(folderOf(url, parsed))
  if (parsed?.protocol === 's3:') {
    const { bucket, prefix } = bucketOf(url, parsed)
    // Loaded on demand: the SDK takes longer to load than a folder store to open.
    const { openS3Store } = await import('./s3/s3-store.ts')
    return openS3Store(bucket, prefix, options.s3)
  }
  throw new StoreUrlError(`object store address ${JSON.stringify(url)}: expected file:///absolute/folder or s3://bucket/prefix`)
}

function folderOf(url: string, parsed: URL): string {
  if (parsed.host !== '')
    throw new StoreUrlError(
      `object store address ${JSON.stringify(url)}: write file:/// with three slashes and an absolute folder`,
    )
  try {
    return fileURLToPath(parsed).replace(/(?<=.)\/+$/, '')
  } catch (error) {
    throw new StoreUrlError(`object store address ${JSON.stringify(url)} is not a folder of this system`, { cause: error })
  }
}

function bucketOf(url: string, parsed: URL): { bucket: string; prefix: string } {
  if (parsed.username || parsed.password)
    throw new StoreUrlError('object store address: credentials do not belong in the address')
  const prefix = parsed.pathname.replace(/^\/+|\/+$/g, '')
  if (parsed.host === '' || parsed.search || parsed.hash)
    throw new StoreUrlError(`object store address ${JSON.stringify(url)}: expected s3://bucket/prefix`)
  if (prefix !== '') checkKey(prefix)
  return { bucket: parsed.host, prefix }
}
