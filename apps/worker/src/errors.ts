/** The environment cannot be used; `problems` has one line a variable. */
export class ConfigError extends Error {
  readonly code = 'config-invalid'
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`configuration: ${problems.join('; ')}`)
    this.problems = problems
  }
}

/** The lease ended while something still had to be written: whatever it was, the store would refuse it. */
export class LeaseLostError extends Error {
  readonly code = 'lease-lost'
  override readonly name = 'LeaseLostError'
}
