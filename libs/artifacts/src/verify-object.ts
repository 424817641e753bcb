/** Whether an object really lies in the store as it was given. */
import { createHash } from 'node:crypto'
import { StoreAccessError } from './errors.ts'
import type { ObjectStore, StoredObject } from './object-store.ts'

/**
 * Reads an object back, whole.
 * @throws StoreAccessError where it is not what was put: worth another try.
 */
export async function verifyObject(store: ObjectStore, key: string, expected: StoredObject): Promise<void> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  try {
    for await (const chunk of await store.stream(key)) {
      hash.update(chunk as Uint8Array)
      sizeBytes += (chunk as Uint8Array).byteLength
    }
  } catch (error) {
    throw new StoreAccessError(`"${key}" was written and cannot be read back`, { cause: error })
  }
  if (sizeBytes !== expected.sizeBytes || hash.digest('hex') !== expected.sha256) {
    throw new StoreAccessError(`"${key}" was written and reads back as other bytes`)
  }
}
