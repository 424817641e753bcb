/** Any error -> RFC 9457 problem document. What is not an error of ours becomes a 500 that tells nothing of the inside. */
import { STATUS_CODES } from 'node:http'
import { GridInvalidError } from '#libs/experiments'
import { type FieldProblem, HttpProblem } from './errors.ts'

export interface Problem {
  /** `urn:cxrlab:problem:<code>`. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly errors: readonly FieldProblem[]
  /** Path of the request, without its query. */
  readonly instance: string
}

interface Answer {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly errors?: readonly FieldProblem[]
}

/** Status of the errors that the libraries throw, by their stable code. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  'idempotency-conflict': 409,
  'dataset-conflict': 409,
  'illegal-transition': 409,
  'ambiguous-id': 400,
  'cursor-invalid': 400,
  'unknown-grid': 404,
  'unknown-run': 404,
  'unknown-dataset': 422,
  'spec-error': 422,
  'artifact-mismatch': 422,
  'evaluation-input': 422,
  'object-not-found': 404,
}

/** Codes of Fastify's own errors that a client can cause, in our words. */
const FASTIFY_CODES: Readonly<Record<string, { readonly code: string; readonly detail: string }>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'body-not-json', detail: 'the body is not valid JSON' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'body-missing', detail: 'the request needs a JSON body' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'body-too-large', detail: 'the body is larger than this server takes' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'media-type-unsupported', detail: 'send the body as application/json' },
}

export function problemOf(error: unknown, url: string): Problem {
  const answer = answerOf(error)
  return {
    type: `urn:cxrlab:problem:${answer.code}`,
    title: STATUS_CODES[answer.status] ?? 'Error',
    status: answer.status,
    detail: answer.detail,
    code: answer.code,
    errors: answer.errors ?? [],
    instance: url.split('?')[0] ?? url,
  }
}

export function notFoundRoute(method: string, url: string): HttpProblem {
  return new HttpProblem(404, 'unknown-route', `nothing answers ${method} ${url.split('?')[0]}; the api is described at /docs`)
}

function answerOf(error: unknown): Answer {
  if (error instanceof HttpProblem) return { status: error.status, code: error.code, detail: error.message, errors: error.errors }
  if (error instanceof GridInvalidError) {
    const count = error.problems.length
    return {
      status: 422,
      code: 'grid-invalid',
      detail: `the grid has ${count} problem${count === 1 ? '' : 's'}`,
      errors: error.problems.map(({ path, code, message }) => ({ path, code, message })),
    }
  }
  return knownCode(error) ?? { status: 500, code: 'internal', detail: 'the server failed; its log has the reason' }
}

function knownCode(error: unknown): Answer | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  if (typeof code === 'string') {
    const ours = STATUS_BY_CODE[code]
    if (ours !== undefined) return { status: ours, code, detail: error.message }
    const fastify = FASTIFY_CODES[code]
    if (fastify !== undefined && typeof statusCode === 'number') return { status: statusCode, ...fastify }
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, code: slug(STATUS_CODES[statusCode] ?? 'refused'), detail: error.message }
  }
  return undefined
}

function slug(title: string): string {
  return title.toLowerCase().replaceAll(' ', '-')
}
