/** Errors of this package. Each has a stable `code`; a caller shows the message and never parses it. */
import type { SpecProblem } from './problems.ts'

/** A grid, or a spec, cannot be planned. Holds every problem that was found, not only the first. */
export class GridInvalidError extends Error {
  readonly code = 'grid-invalid'
  override readonly name = 'GridInvalidError'
  readonly problems: readonly SpecProblem[]
  constructor(problems: readonly SpecProblem[]) {
    super(problems.map((problem) => `${problem.path || '/'}: ${problem.message}`).join('; '))
    this.problems = problems
  }
}

/**
 * An EHR record that the encoding has no vector for. Names the variable and never its value, which belongs to a patient.
 */
export class EhrValueError extends Error {
  readonly code = 'ehr-value'
  override readonly name = 'EhrValueError'
  readonly variable: string
  constructor(variable: string, reason: string) {
    super(`EHR variable ${variable} ${reason}`)
    this.variable = variable
  }
}
