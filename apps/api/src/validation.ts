/** Validation of params, query and body with the routes' zod schemas; every problem at once, with the codes of grid problems. */
import type { FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import { problemsOfZodError } from '#libs/experiments'
import { type FieldProblem, HttpProblem } from './errors.ts'

/** How a problem's path begins, so that a query parameter is told from a field of the body. */
const PREFIX: Readonly<Record<string, string>> = { body: '', querystring: '?', params: ':', headers: 'header ' }

/** All schemas of our routes are zod's, which Fastify's types do not know of a compiler. */
export const validatorCompiler: FastifySchemaCompiler<unknown> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    const parsed = (schema as z.ZodType).safeParse(data, { reportInput: true })
    if (parsed.success) return { value: parsed.data }
    return { error: invalidRequest(problemsOfZodError(parsed.error), httpPart ?? 'body') }
  }

/** For a route whose handler parses the body itself and gives better problems. */
export const bodyAsItCame: FastifySchemaCompiler<unknown> = (part) =>
  part.httpPart === 'body' ? (value: unknown) => ({ value }) : validatorCompiler(part)

function invalidRequest(found: readonly FieldProblem[], part: string): HttpProblem {
  const errors = found.map(({ path, code, message }) => ({ path: pathIn(part, path), code, message }))
  const detail = errors.map(({ path, message }) => `${path || '/'}: ${message}`).join('; ')
  return new HttpProblem(422, 'request-invalid', detail, errors)
}

function pathIn(part: string, pointer: string): string {
  return part === 'body' ? pointer : `${PREFIX[part] ?? ''}${pointer.slice(1)}`
}
