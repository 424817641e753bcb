/** Labels or scores that no metric can be computed from. Names columns and counts, never a value of a patient. */
export class EvaluationInputError extends Error {
  readonly code = 'evaluation-input'
  override readonly name = 'EvaluationInputError'
}
