import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Terminal } from '../commands/context.ts'
import { main } from '../main.ts'

export interface Answer {
  readonly status?: number
  readonly body: unknown
}

/** Runs `cxrlab` against a server that answers each `METHOD path` from a list. */
export async function cli(args: readonly string[], answers: Readonly<Record<string, Answer>> = {}) {
  const seen: { readonly line: string; readonly body: string; readonly headers: IncomingMessage['headers'] }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const line = `${request.method} ${request.url}`
    seen.push({ line, body, headers: request.headers })
    const answer = answers[line]
    const problem = { status: 404, code: 'unknown-route', detail: `nothing answers ${line}`, errors: [] }
    const text = answer === undefined ? problem : answer.body
    response.writeHead(answer?.status ?? (answer ? 200 : 404), { 'content-type': 'application/json', connection: 'close' })
    response.end(typeof text === 'string' || text instanceof Uint8Array ? text : JSON.stringify(text))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => await new Promise<void>((resolve) => server.close(() => resolve())))
  const printed: string[] = []
  const noted: string[] = []
  const terminal: Terminal = { print: (text) => printed.push(text), note: (text) => noted.push(text), isTty: false, now: () => 0 }
  const { port } = server.address() as AddressInfo
  const code = await main([...args, '--api', `http://127.0.0.1:${port}`], terminal)
  return { code, out: printed.join('\n'), err: noted.join('\n'), seen }
}
