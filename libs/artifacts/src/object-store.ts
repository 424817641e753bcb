/**
 * The object store port: immutable bytes under relative keys. Adapters: `folder/` (a local or network folder) and `s3/`;
 * `conformance/` is the one suite that both must pass.
 */
import type { Readable } from 'node:stream'
import { InvalidKeyError } from './errors.ts'

/** What `put` takes: all bytes at once, or a stream of chunks. */
export type ObjectBody = Uint8Array | AsyncIterable<Uint8Array>

export interface PutOptions {
  /** Create only: throws ObjectExistsError, and changes nothing, where the key is taken. */
  readonly ifAbsent?: boolean
}

export interface StoredObject {
  readonly sha256: string
  readonly sizeBytes: number
}

export interface ObjectHead {
  readonly key: string
  readonly sizeBytes: number
  /** When the object was stored last, by the store's clock. */
  readonly modifiedAt: Date
}

/** Writes that a killed writer left behind: no object, but room that they take. */
export interface Unfinished {
  readonly count: number
  /** 0 where the store does not tell. */
  readonly sizeBytes: number
}

/** Keys are checked by `checkKey`; every method throws InvalidKeyError for a bad one and StoreAccessError where the store fails. */
export interface ObjectStore {
  /** Where the store is, for messages: the address it was opened with, without credentials. */
  readonly url: string
  /** All or nothing: a reader sees the old object, or none, until the whole new one is durable. */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<StoredObject>
  /** @throws ObjectNotFoundError */
  get(key: string): Promise<Buffer>
  /** Exactly `length` bytes from `start`. @throws ObjectNotFoundError, ObjectRangeError */
  getRange(key: string, start: number, length: number): Promise<Buffer>
  /** @throws ObjectNotFoundError before the first byte. */
  stream(key: string): Promise<Readable>
  /** Undefined where there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>
  /** Objects whose key starts with `prefix` (a string prefix, '' for all), each once, in no promised order: servers differ. */
  list(prefix: string): AsyncIterable<ObjectHead>
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>
  /** Writes that were begun, and not touched since, before that time; removed unless `dryRun`. A write that goes on is younger. */
  removeUnfinished(before: Date, options: { readonly dryRun: boolean }): Promise<Unfinished>
  /** An address that anybody can fetch the object from for `ttlSeconds`; null where the store has none and the caller streams. */
  presignGet(key: string, ttlSeconds: number): Promise<string | null>
}

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._=-]*$/
const MAX_KEY = 512

/**
 * Refuses a key that is not a plain relative path: segments of letters, digits, ".", "_", "=", "-" that start with a letter or
 * digit (so no "..", no hidden or temporary file), joined by "/".
 */
export function checkKey(key: string): string {
  if (key === '') throw new InvalidKeyError(key, 'is empty')
  if (key.length > MAX_KEY) throw new InvalidKeyError(`${key.slice(0, 40)}...`, `is longer than ${MAX_KEY} characters`)
  if (key.startsWith('/')) throw new InvalidKeyError(key, 'is absolute')
  for (const segment of key.split('/')) {
    if (!SEGMENT.test(segment)) throw new InvalidKeyError(key, `segment ${JSON.stringify(segment)} is not allowed`)
  }
  return key
}

/** A prefix is a key that may end anywhere, '' included. */
export function checkPrefix(prefix: string): string {
  if (prefix === '') return prefix
  checkKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
  return prefix
}

/** Refuses a range that no object could have. */
export function checkRange(key: string, start: number, length: number): void {
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(length)
  if (!whole || start < 0 || length < 1) throw new InvalidKeyError(key, `range ${start}+${length} is not one of whole bytes`)
}
