/** The run cannot succeed as it was asked for: wrong data, wrong files, an impossible combination. Never retried. */
export class SpecError extends Error {
  readonly code = 'spec-error'
  override readonly name = 'SpecError'
  readonly where: { readonly file?: string; readonly line?: number; readonly field?: string }
  constructor(
    message: string,
    where: { readonly file?: string; readonly line?: number; readonly field?: string } = {},
    options?: ErrorOptions,
  ) {
    const place = [where.file && (where.line ? `${where.file}:${where.line}` : where.file), where.field]
      .filter(Boolean)
      .join(', ')
    super(place ? `${message} (${place})` : message, options)
    this.where = where
  }
}

/** A loss or gradient stopped being a number. */
export class NonFiniteError extends Error {
  readonly code = 'non-finite'
  override readonly name = 'NonFiniteError'
  readonly tensor: string
  readonly step: number
  constructor(tensor: string, step: number, options?: ErrorOptions) {
    super(`${tensor} is not finite at step ${step}`, options)
    this.tensor = tensor
    this.step = step
  }
}

/** A checkpoint or another artifact is not what the run may load. */
export class ArtifactMismatchError extends Error {
  readonly code = 'artifact-mismatch'
  override readonly name = 'ArtifactMismatchError'
}

/** The supervisor asked the child to stop: what a run of this kind can commit midway is committed (an evaluation starts again). */
export class StoppedError extends Error {
  readonly code = 'stopped'
  override readonly name = 'StoppedError'
}
