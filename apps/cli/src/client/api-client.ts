/** The api over HTTP. Answers are checked against the schemas of wire.ts where they are used; `--json` prints them as they came. */
import { z } from 'zod'
import { ApiProblemError, CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'

export interface ApiClient {
  readonly url: string
  get(path: string): Promise<unknown>
  text(path: string): Promise<string>
  bytes(path: string): Promise<Buffer>
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<unknown>
  /** Sends a file's bytes. */
  upload(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<unknown>
  delete(path: string): Promise<void>
}

const problemSchema = z.object({
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })).default([]),
})

const TIMEOUT_MS = 120_000
/** The server asks for the size of each of 377,110 images, or lists its whole object store, perhaps over a network. */
const LONG_WORK = ['/v1/datasets', '/v1/garbage']
const LONG_WORK_TIMEOUT_MS = 30 * 60_000

export interface ApiClientOptions {
  /** Sent with every request. */
  readonly apiKey?: string | undefined
  readonly fetcher?: typeof fetch
}

/** @throws CliError where `url` is no http(s) address. */
export function createApiClient(url: string, { apiKey, fetcher = fetch }: ApiClientOptions = {}): ApiClient {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CliError('api-url-invalid', EXIT.usage, `"${url}" is not an http:// address (--api or CXRLAB_API)`)
  }
  const base = url.replace(/\/+$/, '')

  async function send(
    path: string,
    init: RequestInit & { readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Response> {
    const timeoutMs = LONG_WORK.some((start) => path.startsWith(start)) ? LONG_WORK_TIMEOUT_MS : TIMEOUT_MS
    let response: Response
    try {
      const headers = { ...init.headers, ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }) }
      response = await fetcher(`${base}${path}`, { ...init, headers, signal: AbortSignal.timeout(timeoutMs) })
    } catch (error) {
      throw new CliError(
        'api-unreachable',
        EXIT.unreachable,
        `no api answers at ${base} (${reasonOf(error, timeoutMs)}); start a lab with "cxrlab up"`,
        {
          cause: error,
        },
      )
    }
    if (!response.ok) throw await problemOf(response, base)
    return response
  }

  return {
    url: base,
    get: async (path) => await jsonOf(await send(path, { headers: { accept: 'application/json' } }), base),
    text: async (path) => await (await send(path, {})).text(),
    bytes: async (path) => Buffer.from(await (await send(path, {})).arrayBuffer()),
    post: async (path, body, headers = {}) => {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) }
      const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
      return await jsonOf(await send(path, { method: 'POST', headers: { ...type, ...headers }, ...sent }), base)
    },
    upload: async (path, bytes) =>
      await jsonOf(
        await send(path, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: bytes }),
        base,
      ),
    delete: async (path) => void (await send(path, { method: 'DELETE' })),
  }
}

/** Parses an answer; a server of another version is named as such. */
export function parseAnswer<T extends z.ZodType>(schema: T, answer: unknown): z.output<T> {
  const parsed = schema.safeParse(answer)
  if (parsed.success) return parsed.data
  const where = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ')
  throw new CliError(
    'answer-unknown',
    EXIT.unreachable,
    `the api's answer is not understood (${where}); is it of another version?`,
  )
}

async function jsonOf(response: Response, base: string): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    throw new CliError('answer-unknown', EXIT.unreachable, `what answers at ${base} is not a cxrlab api`, { cause: error })
  }
}

async function problemOf(response: Response, base: string): Promise<CliError> {
  const text = await response.text()
  const parsed = problemSchema.safeParse(parseJson(text))
  if (!parsed.success) {
    return new CliError(
      'answer-unknown',
      EXIT.unreachable,
      `what answers at ${base} is not a cxrlab api (status ${response.status})`,
    )
  }
  const { status, code, detail, errors } = parsed.data
  const hint = status === 401 ? ' (CXRLAB_API_KEY)' : ''
  return new ApiProblemError(status, code, `${detail}${hint}`, errors)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  const cause = error.cause as { code?: string; message?: string } | undefined
  return cause?.code ?? cause?.message ?? error.message
}
