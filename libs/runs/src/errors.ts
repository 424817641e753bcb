/** Errors of the run graph. Each has a stable `code`; a caller shows the message and never parses it. */

/** The key was used by another request of this owner: nothing was written. */
export class IdempotencyConflictError extends Error {
  readonly code = 'idempotency-conflict'
  override readonly name = 'IdempotencyConflictError'
  readonly key: string
  constructor(key: string) {
    super(`the idempotency key "${key}" was used with another request`)
    this.key = key
  }
}

/** A prefix fits several runs or grids. */
export class AmbiguousIdError extends Error {
  readonly code = 'ambiguous-id'
  override readonly name = 'AmbiguousIdError'
  readonly prefix: string
  /** Some of the ids that it fits. */
  readonly candidates: readonly string[]
  constructor(prefix: string, candidates: readonly string[]) {
    super(`"${prefix}" fits several ids: ${candidates.map((id) => id.slice(0, 16)).join(', ')}`)
    this.prefix = prefix
    this.candidates = candidates
  }
}

/** The name belongs to a data set with other contents, and runs refer to it. */
export class DatasetConflictError extends Error {
  readonly code = 'dataset-conflict'
  override readonly name = 'DatasetConflictError'
  readonly dataset: string
  constructor(dataset: string, reason: string) {
    super(`data set "${dataset}" ${reason}`)
    this.dataset = dataset
  }
}

/** A plan names a data set that is not registered, or not any more with the contents that the plan was made for. */
export class UnknownDatasetError extends Error {
  readonly code = 'unknown-dataset'
  override readonly name = 'UnknownDatasetError'
  readonly dataset: string
  constructor(dataset: string) {
    super(`data set "${dataset}" is not registered with the contents that the plan was made for`)
    this.dataset = dataset
  }
}

/** Thrown by a paged reader for a cursor that it did not give. */
export class InvalidCursorError extends Error {
  readonly code = 'cursor-invalid'
  override readonly name = 'InvalidCursorError'
  constructor() {
    super('the cursor is not one that this list gave')
  }
}

/** A run was asked to move where no move leads: a mistake of the program, or a request that came too late. */
export class IllegalTransitionError extends Error {
  readonly code = 'illegal-transition'
  override readonly name = 'IllegalTransitionError'
  constructor(from: string, to: string) {
    super(`a run that is ${from} cannot become ${to}`)
  }
}
