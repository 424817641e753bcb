/** Errors of the engine. Every `code` is stable: logs, run causes and tests rely on it. */

/** The step uses a tfjs kernel that the tracer does not know. */
export class UnknownKernelError extends Error {
  readonly code = 'unknown-kernel'
  override readonly name = 'UnknownKernelError'
  readonly kernel: string
  constructor(kernel: string, options?: ErrorOptions) {
    super(`the step uses the kernel ${kernel}, which the tracer does not support; rewrite the step or add a rule for it`, options)
    this.kernel = kernel
  }
}

/** The step reads a value, which does not exist yet while the step is traced. */
export class ValueReadError extends Error {
  readonly code = 'value-read-while-tracing'
  override readonly name = 'ValueReadError'
  /** What was read: a kernel's result or an input of the step. */
  readonly source: string
  constructor(source: string) {
    super(`a step must not read values while it is traced, but it reads ${source}`)
    this.source = source
  }
}

/** What the step's function does contradicts its signature, or it uses a tensor that belongs to another trace. */
export class StepContractError extends Error {
  readonly code = 'step-contract'
  override readonly name = 'StepContractError'
  constructor(step: string, reason: string) {
    super(`step ${step}: ${reason}`)
  }
}

/** State given to `load` or `writeState` has a missing, unknown or wrongly sized entry, or `readState` asks for an unknown one. */
export class StateMismatchError extends Error {
  readonly code = 'state-mismatch'
  override readonly name = 'StateMismatchError'
  readonly entry: string
  constructor(entry: string, reason: string) {
    super(`state entry ${entry} ${reason}`)
    this.entry = entry
  }
}

/** A batch array or scalar of one `run` is missing, unknown or wrongly sized. */
export class FeedMismatchError extends Error {
  readonly code = 'feed-mismatch'
  override readonly name = 'FeedMismatchError'
  readonly feed: string
  constructor(kind: 'batch' | 'scalar', feed: string, reason: string) {
    super(`${kind} ${feed} ${reason}`)
    this.feed = feed
  }
}

/** The runtime could not be started, or refused the compiled step. */
export class EngineLoadError extends Error {
  readonly code = 'engine-load'
  override readonly name = 'EngineLoadError'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
  }
}

/** The engine cannot compute as asked: another engine can, and has to be chosen. */
export class UnsupportedOptionError extends Error {
  readonly code = 'unsupported-option'
  override readonly name = 'UnsupportedOptionError'
  readonly option: string
  constructor(option: string, value: string, engine: string) {
    super(`${option} ${value} needs the tensorflow engine, and this one is ${engine}`)
    this.option = option
  }
}

/** The engine computes something else than it should on this device: nothing that it trains would count. */
export class SelfCheckError extends Error {
  readonly code = 'self-check'
  override readonly name = 'SelfCheckError'
  constructor(engine: string, precision: string, what: string, value: number, known: number) {
    super(`the ${engine} engine fails its self-check in ${precision}: ${what} is ${value}, not ${known}`)
  }
}

/** The runtime failed in the middle of a step; the session keeps the state of the step before. */
export class EngineRunError extends Error {
  readonly code = 'engine-run'
  override readonly name = 'EngineRunError'
  constructor(step: string, options?: ErrorOptions) {
    const cause = options?.cause
    super(`step ${step} failed: ${cause instanceof Error ? cause.message : String(cause)}`, options)
  }
}

/** A session was used after `dispose`, or a second `run` began before the first had ended. */
export class SessionUseError extends Error {
  readonly code = 'session-use'
  override readonly name = 'SessionUseError'
}
