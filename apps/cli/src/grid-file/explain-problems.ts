import { ApiProblemError, type FieldProblem, GridFileError } from '../errors.ts'
import type { GridFile } from './read-grid-file.ts'

/** One line a problem, in the form that editors follow: `grid.yaml:7:3: /ehr/1: message [code]`. */
export function explainProblems(file: GridFile, problems: readonly FieldProblem[]): string {
  return problems
    .map((problem) => ({ problem, place: file.locate(problem.path) ?? { line: 1, column: 1 } }))
    .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
    .map(
      ({ problem, place }) =>
        `${file.path}:${place.line}:${place.column}: ${problem.path || '/'}: ${problem.message} [${problem.code}]`,
    )
    .join('\n')
}

/** What the server found wrong in the file's content, as an error about the file; any other error as it is. */
export function aboutFile(file: GridFile, error: unknown): unknown {
  if (!(error instanceof ApiProblemError) || error.status !== 422 || error.problems.length === 0) return error
  return new GridFileError(explainProblems(file, error.problems), { cause: error })
}
