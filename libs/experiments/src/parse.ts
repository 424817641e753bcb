/** Reading a grid request from outside: a JSON or YAML document, a form of the console. */
import { GridInvalidError } from './errors.ts'
import { type GridRequest, gridRequestSchema } from './grid-request.ts'
import { problemsOfZodError } from './problems.ts'

/**
 * A grid request with its defaults filled in.
 * @throws GridInvalidError with every problem of the document and where it lies.
 */
export function parseGridRequest(input: unknown): GridRequest {
  const result = gridRequestSchema.safeParse(input, { reportInput: true })
  if (!result.success) throw new GridInvalidError(problemsOfZodError(result.error))
  return result.data
}
