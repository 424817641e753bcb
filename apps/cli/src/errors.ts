/** Errors that the command line shows as they are: one clear message, no stack. */
import { EXIT, type ExitCode } from './exit-codes.ts'

export class CliError extends Error {
  override readonly name: string = 'CliError'
  readonly code: string
  readonly exitCode: ExitCode
  constructor(code: string, exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.exitCode = exitCode
  }
}

export interface FieldProblem {
  readonly path: string
  readonly code: string
  readonly message: string
}

/** The server answered with a problem document. */
export class ApiProblemError extends CliError {
  override readonly name = 'ApiProblemError'
  readonly status: number
  readonly problems: readonly FieldProblem[]
  constructor(status: number, code: string, detail: string, problems: readonly FieldProblem[]) {
    super(code, status >= 500 ? EXIT.unreachable : EXIT.refused, [headOf(detail, problems), ...problems.map(lineOf)].join('\n'))
    this.status = status
    this.problems = problems
  }
}

/** The grid file is not what it should be; each line of the message names file, line and column. */
export class GridFileError extends CliError {
  override readonly name = 'GridFileError'
  constructor(message: string, options?: ErrorOptions) {
    super('grid-file-invalid', EXIT.invalidFile, message, options)
  }
}

/** The embedded lab cannot start, or broke down. */
export class LabError extends CliError {
  override readonly name = 'LabError'
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, EXIT.failed, message, options)
  }
}

/** The detail where it says more than the lines that follow it. */
function headOf(detail: string, problems: readonly FieldProblem[]): string {
  const repeats = problems.length > 0 && problems.every(({ message }) => detail.includes(message))
  return repeats ? 'the server refused the request' : detail
}

function lineOf({ path, code, message }: FieldProblem): string {
  return `  ${path === '' ? '/' : path}: ${message} [${code}]`
}
