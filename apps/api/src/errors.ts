/** Errors that routes raise on purpose, with the HTTP status that they stand for. */

export interface FieldProblem {
  /** JSON pointer into the body (`/ehr/0`); `?name` for a query parameter, `:name` for a part of the path. */
  readonly path: string
  readonly code: string
  readonly message: string
}

export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly status: number
  readonly code: string
  readonly errors: readonly FieldProblem[]
  constructor(status: number, code: string, detail: string, errors: readonly FieldProblem[] = []) {
    super(detail)
    this.status = status
    this.code = code
    this.errors = errors
  }
}

export function notFound(what: string, id: string): HttpProblem {
  return new HttpProblem(404, `unknown-${what}`, `there is no ${what} "${id}"`)
}

/** 422 for one field. */
export function invalidField(path: string, code: string, message: string): HttpProblem {
  return new HttpProblem(422, 'request-invalid', message, [{ path, code, message }])
}
