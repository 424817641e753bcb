/** A configuration that no step can be built from. */
export class MsnConfigError extends Error {
  readonly code = 'msn-config'
  override readonly name = 'MsnConfigError'
  /** Path of the offending field, as in the spec: `views.focalPx`. */
  readonly field: string
  constructor(field: string, message: string) {
    super(`${field}: ${message}`)
    this.field = field
  }
}

/** Arrays handed to a batch or state builder do not have the sizes that the configuration asks for. */
export class MsnInputError extends Error {
  readonly code = 'msn-input'
  override readonly name = 'MsnInputError'
  readonly input: string
  constructor(input: string, message: string) {
    super(`${input}: ${message}`)
    this.input = input
  }
}
