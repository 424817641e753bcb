/** What never reaches a log line: secrets by the name of their field, API keys, and credentials inside connection strings. */

export const REDACTED = '[redacted]'

/** Compared without case, `-` and `_`, so that `apiKey`, `api_key` and `API-KEY` are one name. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'password',
  'passwd',
  'pgpassword',
  'secret',
  'token',
  'accesstoken',
  'sessiontoken',
  'apikey',
  'apitoken',
  'authorization',
  'cookie',
  'setcookie',
  'accesskey',
  'accesskeyid',
  'secretkey',
  'secretaccesskey',
  's3accesskeyid',
  's3secretaccesskey',
])

/** Nested deeper than this, a value is replaced: a log line is no place for a tree, and a cycle must end. */
const MAX_DEPTH = 6

// The password may itself hold `:` or `@`: all up to the last `@` before the host's end counts as credentials.
const CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]*@/gi
const CREDENTIAL_PARAMETERS =
  /([?&](?:password|sslpassword|token|x-amz-signature|x-amz-credential|x-amz-security-token)=)[^&\s"'<>]+/gi

/** The form of an API key (libs/runs); what sticks to its ends is no reason to let it pass. */
const API_KEYS = /cxrlab_[A-Za-z0-9_-]{43,}/g

/** Replaces API keys, user and password of every URL in `text`, and secret query parameters (signed addresses, libpq options). */
export function redactText(text: string): string {
  const withoutKeys = text.includes('cxrlab_') ? text.replace(API_KEYS, REDACTED) : text
  if (!withoutKeys.includes('://')) return withoutKeys
  return withoutKeys.replace(CREDENTIALS, `$1${REDACTED}@`).replace(CREDENTIAL_PARAMETERS, `$1${REDACTED}`)
}

/** A copy of a plain value with secret fields replaced. Class instances are left as they are: serializers of the logger own them. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (Array.isArray(value)) return depth >= MAX_DEPTH ? '[deep]' : value.map((item) => redactValue(item, depth + 1))
  if (!isPlainObject(value)) return value
  if (depth >= MAX_DEPTH) return '[deep]'
  return redactFields(value, depth)
}

/** As {@link redactValue}, for the fields of one object. */
export function redactFields(fields: Readonly<Record<string, unknown>>, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, isSecretField(name) ? REDACTED : redactValue(value, depth + 1)]),
  )
}

/** Errors that tell file and line of a data set to its owner: data sets name their files after patients. */
const NAMES_DATA: ReadonlySet<string> = new Set(['spec-error'])
const WITHHELD = '[withheld: the message of the run has the words]'

/** A stack begins with the message, which may have several lines. */
function framesOf({ stack }: Error): string | undefined {
  return stack
    ?.split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')
}

export interface LoggedError {
  readonly type: string
  readonly code: string | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly cause: LoggedError | undefined
}

/**
 * Type, code, message, stack and causes of an error, nothing else: database drivers hang the offending row on their errors
 * (`detail`, `parameters`), and a row may hold what a log must not. The words of a wrong data set are left out.
 */
export function serialiseError(error: unknown, depth = 0): LoggedError | unknown {
  if (!(error instanceof Error)) return redactValue(error)
  const code = (error as Error & { code?: unknown }).code
  const withheld = typeof code === 'string' && NAMES_DATA.has(code)
  return {
    type: error.name,
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : undefined,
    message: withheld ? WITHHELD : error.message,
    stack: withheld ? framesOf(error) : error.stack,
    cause: error.cause === undefined || depth >= MAX_DEPTH ? undefined : serialiseError(error.cause, depth + 1),
  }
}

function isSecretField(name: string): boolean {
  return SECRET_FIELDS.has(name.toLowerCase().replaceAll(/[-_]/g, ''))
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
