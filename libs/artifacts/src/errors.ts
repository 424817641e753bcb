/**
 * Errors of the object store. Bytes that are there but are not what a run may load (wrong hash, wrong run, broken file) are
 * `ArtifactMismatchError` of #libs/training.
 */

/** The store has no object under the key. */
export class ObjectNotFoundError extends Error {
  readonly code = 'object-not-found'
  override readonly name = 'ObjectNotFoundError'
  readonly key: string
  constructor(key: string, options?: ErrorOptions) {
    super(`the object store has no "${key}"`, options)
    this.key = key
  }
}

/** A conditional `put` found an object under its key; nothing was changed. */
export class ObjectExistsError extends Error {
  readonly code = 'object-exists'
  override readonly name = 'ObjectExistsError'
  readonly key: string
  constructor(key: string, options?: ErrorOptions) {
    super(`the object store already has "${key}"`, options)
    this.key = key
  }
}

/** A range reaches past the end of its object. */
export class ObjectRangeError extends Error {
  readonly code = 'object-range'
  override readonly name = 'ObjectRangeError'
  readonly key: string
  constructor(key: string, start: number, length: number, options?: ErrorOptions) {
    super(`bytes ${start}..${start + length - 1} lie outside the object "${key}"`, options)
    this.key = key
  }
}

/** A key that is not a plain relative path. */
export class InvalidKeyError extends Error {
  readonly code = 'invalid-key'
  override readonly name = 'InvalidKeyError'
  readonly key: string
  constructor(key: string, reason: string) {
    super(`object key ${JSON.stringify(key)}: ${reason}`)
    this.key = key
  }
}

/** The address of an object store cannot be understood. */
export class StoreUrlError extends Error {
  readonly code = 'store-url'
  override readonly name = 'StoreUrlError'
}

/** The store is there but does not serve: no permission, no bucket, no connection, a full disk. */
export class StoreAccessError extends Error {
  readonly code = 'store-access'
  override readonly name = 'StoreAccessError'
}

/** A state that is to be kept holds NaN or infinity: a run that went on from it could only fail. */
export class NonFiniteStateError extends Error {
  readonly code = 'non-finite-state'
  override readonly name = 'NonFiniteStateError'
  readonly tensor: string
  constructor(tensor: string) {
    super(`state entry ${tensor} is not finite`)
    this.tensor = tensor
  }
}
