import { describe, expect, it, vi } from 'vitest'
import { EXIT } from '../exit-codes.ts'
import { cli } from '../testing/run-cli.ts'

const OUTCOME = { matched: 3, changed: 2, asked: 1, refused: 0, refusals: [] }
const RUN = 'abcdef'.repeat(8)
const answer = (more: object = {}) => ({ body: { ...OUTCOME, ...more } })

describe.each(['pause', 'resume', 'cancel', 'retry'])('cxrlab %s', (action) => {
  it('acts on a run', async () => {
    const { code, out, seen } = await cli([action, 'abcdef'], {
      [`POST /v1/runs/abcdef/${action}`]: answer({ id: RUN, state: 'running' }),
    })
    expect(code).toBe(EXIT.ok)
    expect(seen).toHaveLength(1)
    expect(out).toBe(`${action}: run abcdefabcdef is running: 2 of 3 runs changed, 1 asked of their workers`)
  })

  it('acts on a grid where no run has the id, or the name is none of a run', async () => {
    const { code, out, seen } = await cli([action, 'abcdef'], { [`POST /v1/grids/abcdef/${action}`]: answer({ gridId: RUN }) })
    expect(code).toBe(EXIT.ok)
    expect(seen.map(({ line }) => line)).toEqual([`POST /v1/runs/abcdef/${action}`, `POST /v1/grids/abcdef/${action}`])
    expect(out).toContain('grid abcdefabcdef: 2 of 3')
    const named = await cli([action, 'my grid'], { [`POST /v1/grids/my%20grid/${action}`]: answer({ gridId: RUN }) })
    expect(named.seen).toHaveLength(1)
  })

  it('acts on what flags select; --grid alone is the grid as a whole', async () => {
    const selected = await cli([action, '--grid', 'g', '--kind', 'pretrain', '--state', 'queued'], {
      'POST /v1/runs/actions': answer(),
    })
    const filter = { grid: 'g', kind: 'pretrain', state: 'queued' }
    expect(JSON.parse(selected.seen[0]?.body ?? '')).toEqual({ action, filter })
    const all = await cli([action, '--all'], { 'POST /v1/runs/actions': answer() })
    expect(JSON.parse(all.seen[0]?.body ?? '')).toEqual({ action, filter: {}, all: true })
    const grid = await cli([action, '--grid', 'g'], { [`POST /v1/grids/g/${action}`]: answer({ gridId: RUN }) })
    expect(grid.code).toBe(EXIT.ok)
  })

  it.each([
    [[]],
    [['abcdef', '--grid', 'g']],
    [['abcdef', '--all']],
    [['--all', '--kind', 'pretrain']],
    [['--kind', 'training']],
  ])('asks nothing of the server for %j', async (args) => {
    const { code, seen } = await cli([action, ...args])
    expect(code).toBe(EXIT.usage)
    expect(seen).toEqual([])
  })
})

describe('cxrlab priority', () => {
  it('sends the priority, negative ones too', async () => {
    const { seen } = await cli(['priority', 'abcdef', '--to', '-5'], {
      'POST /v1/runs/abcdef/priority': answer({ id: RUN, state: 'queued' }),
    })
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ priority: -5 })
    const selected = await cli(['priority', '--kind', 'evaluate', '--to', '9'], { 'POST /v1/runs/actions': answer() })
    expect(JSON.parse(selected.seen[0]?.body ?? '')).toEqual({ action: 'priority', filter: { kind: 'evaluate' }, priority: 9 })
  })

  it.each([['abcdef'], ['abcdef', '--to', '101'], ['abcdef', '--to', '1.5'], ['abcdef', '--to', '']])(
    'refuses %j %j %j',
    async (...args) => {
      const { code, seen } = await cli(['priority', ...args])
      expect(code).toBe(EXIT.usage)
      expect(seen).toEqual([])
    },
  )
})

describe('refusals', () => {
  const refusals = [{ runId: RUN, state: 'succeeded', reason: 'wrong-state' }]

  it('are shown with their reasons, and beside changes are no failure', async () => {
    const { code, out } = await cli(['cancel', '--all'], { 'POST /v1/runs/actions': answer({ refused: 2, refusals }) })
    expect(code).toBe(EXIT.ok)
    expect(out).toContain('2 left as they are')
    expect(out).toMatch(/abcdefabcdef +succeeded +its state does not allow it\nand 1 more/)
  })

  it('exit with 4 where nothing changed', async () => {
    const nothing = { matched: 1, changed: 0, asked: 0, refused: 1, refusals, id: RUN, state: 'succeeded' }
    const { code } = await cli(['cancel', 'abcdef', '--json'], { 'POST /v1/runs/abcdef/cancel': { body: nothing } })
    expect(code).toBe(EXIT.refused)
  })
})

describe('workers, keys and audit', () => {
  it('list what the api gives', async () => {
    const worker = {
      id: 'w1',
      resourceClass: 'gpu',
      engine: 'tensorflow',
      slots: 2,
      alive: true,
      draining: null,
      lastSeenAt: '',
      attempts: [{ runId: RUN, title: 'pretrain msn' }],
    }
    const gone = { ...worker, id: 'w2', alive: false, lastSeenAt: '2026-01-01T00:00:00Z', attempts: [] }
    const { out } = await cli(['workers'], {
      'GET /v1/workers?limit=500': { body: { items: [worker, gone], nextCursor: null } },
    })
    expect(out).toMatch(/w1 +gpu +tensorflow +alive +1\/2 +abcdefabcdef pretrain msn/)
    expect(out).toContain('gone since 2026-01-01')
    const event = { at: 't', actor: 'ann/cli', action: 'run.cancel', subject: RUN, data: { changed: 2, kind: null, status: 200 } }
    const audit = await cli(['audit', '--action', 'run.cancel'], {
      'GET /v1/audit?limit=50&action=run.cancel': { body: { items: [event], nextCursor: null } },
    })
    expect(audit.out).toMatch(/ann\/cli +run.cancel +abcdefabcdef +status 200, changed 2$/m)
  })

  it('make a key, which alone goes to standard output, and revoke it', async () => {
    const key = { id: 'k1', name: 'cli', owner: 'ann', role: 'read', createdAt: '', lastUsedAt: null, revokedAt: null }
    const made = await cli(['keys', 'create', '--owner', 'ann', '--role', 'read'], {
      'POST /v1/keys': { status: 201, body: { ...key, key: 'cxrlab_secret' } },
    })
    expect(JSON.parse(made.seen[0]?.body ?? '')).toEqual({ owner: 'ann', role: 'read', name: 'cli' })
    expect(made.out).toBe('cxrlab_secret')
    expect(made.err).not.toContain('cxrlab_secret')
    const revoked = await cli(['keys', 'revoke', 'k1'], { 'DELETE /v1/keys/k1': { status: 204, body: '' } })
    expect(revoked.code).toBe(EXIT.ok)
    expect((await cli(['keys', 'create', '--owner', 'ann', '--role', 'root'])).code).toBe(EXIT.usage)
  })

  it('send the key of CXRLAB_API_KEY, and never print it', async () => {
    vi.stubEnv('CXRLAB_API_KEY', 'cxrlab_secret')
    const refused = { status: 401, code: 'key-refused', detail: 'send an API key', errors: [] }
    const { code, err, out, seen } = await cli(['grids'], { 'GET /v1/grids?limit=50': { status: 401, body: refused } })
    vi.unstubAllEnvs()
    expect(code).toBe(EXIT.refused)
    expect(seen[0]?.headers.authorization).toBe('Bearer cxrlab_secret')
    expect(err + out).not.toContain('secret')
    expect(err).toContain('CXRLAB_API_KEY')
    expect((await cli(['grids'])).seen[0]?.headers.authorization).toBeUndefined()
  })
})
