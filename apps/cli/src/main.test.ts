import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Terminal } from './commands/context.ts'
import { EXIT } from './exit-codes.ts'
import { main } from './main.ts'
import { cli } from './testing/run-cli.ts'

async function gridFile(text: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cxrlab-main-'))
  onTestFinished(async () => await rm(dir, { recursive: true }))
  const path = join(dir, 'grid.yaml')
  await writeFile(path, text)
  return path
}

const counts = { new: 1, reused: 0, joined: 0, retried: 0 }
const SUBMITTED = { gridId: 'f'.repeat(64), created: true, dryRun: false, points: 1, byKind: { evaluate: counts }, warnings: [] }

describe('cxrlab submit', () => {
  it('sends the file as JSON with its idempotency key', async () => {
    const path = await gridFile('name: demo\nseed: [1, 2]\n')
    const { code, out, seen } = await cli(['submit', path, '--idempotency-key', 'k1'], {
      'POST /v1/grids': { status: 201, body: SUBMITTED },
    })
    expect(code).toBe(EXIT.ok)
    expect(out).toContain('grid ffffffffffff "demo": 1 points, submitted')
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ name: 'demo', seed: [1, 2] })
    expect(seen[0]?.headers).toMatchObject({ 'idempotency-key': 'k1', 'content-type': 'application/json' })
  })

  it('asks for a dry run, and prints the answer as it came with --json where it cannot estimate', async () => {
    const path = await gridFile('name: demo\n')
    const body = { ...SUBMITTED, created: false, dryRun: true, extra: 1 }
    const { out, err } = await cli(['submit', path, '--dry-run', '--json'], {
      'POST /v1/grids?dryRun=true': { body },
      'GET /v1/datasets': { body: { items: [] } },
    })
    expect(JSON.parse(out)).toEqual(body)
    expect(err).toContain('no estimate')
  })

  it('names file and line of what the server refused, and exits with 3', async () => {
    const path = await gridFile('name: demo\nbackbone:\n  - vit-tiny\n  - resnet\n')
    const errors = [{ path: '/backbone/1', code: 'unknown-value', message: 'is none of vit-tiny, vit-small' }]
    const { code, err } = await cli(['submit', path], {
      'POST /v1/grids': { status: 422, body: { status: 422, code: 'grid-invalid', detail: 'one problem', errors } },
    })
    expect(code).toBe(EXIT.invalidFile)
    expect(err).toBe(`${path}:4:5: /backbone/1: is none of vit-tiny, vit-small [unknown-value]`)
  })

  it('asks nothing of the server where the file cannot be read', async () => {
    const { code, seen } = await cli(['submit', '/nowhere/grid.yaml'])
    expect(code).toBe(EXIT.invalidFile)
    expect(seen).toEqual([])
  })
})

describe('cxrlab and its api', () => {
  it('shows a problem as one message with its fields, and exits with 4', async () => {
    const errors = [{ path: '/root', code: 'root-outside', message: 'lies outside' }]
    const { code, err } = await cli(['datasets', 'add', 'nih', '--kind', 'nih14', '--root', '/x'], {
      'POST /v1/datasets': { status: 422, body: { status: 422, code: 'request-invalid', detail: 'not registered', errors } },
    })
    expect(code).toBe(EXIT.refused)
    expect(err).toBe('cxrlab: not registered\n  /root: lies outside [root-outside]')
  })

  it('does not say the same twice', async () => {
    const errors = [{ path: '/root', code: 'root-outside', message: 'lies outside' }]
    const { err } = await cli(['datasets', 'add', 'nih', '--kind', 'nih14', '--root', '/x'], {
      'POST /v1/datasets': { status: 422, body: { status: 422, code: 'request-invalid', detail: 'lies outside', errors } },
    })
    expect(err).toBe('cxrlab: the server refused the request\n  /root: lies outside [root-outside]')
  })

  it.each([
    ['text', 'hello', 200],
    ['another answer', { items: 'none' }, 200],
    ['an error page', '<html>', 502],
  ])('says so where a server gives %s', async (_what, body, status) => {
    const { code, err } = await cli(['datasets', 'list'], { 'GET /v1/datasets': { status, body } })
    expect(code).toBe(EXIT.unreachable)
    expect(err).toMatch(/not a cxrlab api|another version/)
  })

  it('says so where nothing answers', async () => {
    const noted: string[] = []
    const terminal: Terminal = { print: () => undefined, note: (text) => noted.push(text), isTty: false, now: () => 0 }
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port: free } = server.address() as AddressInfo
        server.close(() => resolve(free))
      })
    })
    expect(await main(['grids', '--api', `http://127.0.0.1:${port}`], terminal)).toBe(EXIT.unreachable)
    expect(noted.join()).toContain('ECONNREFUSED')
  })

  it('collects pages up to the limit', async () => {
    const run = (id: string) => ({
      id: id.repeat(16),
      kind: 'prepare',
      state: 'failed',
      title: `t-${id}`,
      attempts: 1,
      progress: null,
      createdAt: '',
      startedAt: null,
      endedAt: null,
      message: null,
    })
    const { out, seen } = await cli(['runs', '--state', 'failed', '--limit', '3'], {
      'GET /v1/runs?limit=3&state=failed': { body: { items: [run('a'), run('b')], nextCursor: 'c2' } },
      'GET /v1/runs?limit=1&state=failed&cursor=c2': { body: { items: [run('c')], nextCursor: 'c3' } },
    })
    expect(seen).toHaveLength(2)
    expect(out.split('\n')).toHaveLength(4)
  })

  it('prints results in the asked format as they come', async () => {
    const { out } = await cli(['results', 'demo', '--format', 'csv', '--labels', '--metric', 'auroc'], {
      'GET /v1/grids/demo/results?format=csv&labels=true&metric=auroc': { body: 'method,ehr\nmsn,sex\n' },
    })
    expect(out).toBe('method,ehr\nmsn,sex')
  })
})

describe('the command line itself', () => {
  it.each([
    [['bogus'], 'unknown command'],
    [['submit'], 'missing required argument'],
    [['runs', '--state', 'done'], 'Allowed choices'],
    [['runs', '--limit', '0'], 'whole number'],
    [['up', '--port', '70000'], 'must be a port'],
    [['results', 'g', '--format', 'xlsx'], 'Allowed choices'],
  ])('exits with 2 for %j', async (args, message) => {
    const { code, err, seen } = await cli(args)
    expect(code).toBe(EXIT.usage)
    expect(err).toContain(message)
    expect(seen).toEqual([])
  })

  it('refuses an address that is none', async () => {
    const noted: string[] = []
    const terminal: Terminal = { print: () => undefined, note: (text) => noted.push(text), isTty: false, now: () => 0 }
    expect(await main(['grids', '--api', 'localhost:8080'], terminal)).toBe(EXIT.usage)
    expect(noted.join()).toContain('not an http:// address')
  })

  it('shows help and exits with 0', async () => {
    const { code, out } = await cli(['watch', '--help'])
    expect(code).toBe(EXIT.ok)
    expect(out).toContain('follow a grid to its end')
  })
})
