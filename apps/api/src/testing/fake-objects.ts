/** An object store in memory, and what a collection of its garbage answers. */
import { Readable } from 'node:stream'
import { type GarbageReport, ObjectNotFoundError } from '#libs/artifacts'
import type { ApiDeps } from '../deps.ts'

const STORED_AT = new Date('2026-01-02T03:04:05.678Z')

export const NO_GARBAGE: GarbageReport = {
  objects: 0,
  sizeBytes: 0,
  garbage: {
    'unknown-run': { objects: 0, sizeBytes: 0 },
    'unwanted-run': { objects: 0, sizeBytes: 0 },
    unreferenced: { objects: 0, sizeBytes: 0 },
  },
  unfinished: { count: 0, sizeBytes: 0 },
  deleted: 0,
  unrecognised: 0,
  doubtfulRuns: [],
  complete: true,
  sample: [],
}

export function fakeObjects(files: Map<string, Buffer>, presigned: ReadonlyMap<string, string>): ApiDeps['objectStore'] {
  return {
    get: async (key) => files.get(key) ?? Promise.reject(new ObjectNotFoundError(key)),
    presignGet: async (key) => presigned.get(key) ?? null,
    async *list(prefix) {
      for (const [key, bytes] of files) if (key.startsWith(prefix)) yield { key, sizeBytes: bytes.length, modifiedAt: STORED_AT }
    },
    head: async (key) => (files.has(key) ? { key, sizeBytes: files.get(key)?.length ?? 0, modifiedAt: STORED_AT } : undefined),
    stream: async (key) => Readable.from([files.get(key) ?? Buffer.alloc(0)]),
    put: async (key, body) => {
      if (!(body instanceof Uint8Array)) throw new Error('the api stores whole files')
      files.set(key, Buffer.from(body))
      return { sha256: '', sizeBytes: body.byteLength }
    },
  }
}
