import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { DIRECTIONS, findViolations } from './check-imports.mjs'

const roots: string[] = []
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true })
})

function tree(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'check-imports-'))
  roots.push(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}
const check = (file: string, text: string) => findViolations(tree({ [file]: text })).map(({ line, rule }) => `${line}: ${rule}`)

describe('directions', () => {
  it('refuses an import against them, by file and line', () => {
    const root = tree({ 'libs/msn/src/step.ts': `/** Steps. */\n\nimport type { A } from '#libs/training'\n` })
    expect(findViolations(root)).toEqual([
      { file: 'libs/msn/src/step.ts', line: 3, rule: "libs/msn must not import '#libs/training' (allowed: no other lib)" },
    ])
  })

  it('allows an import along them', () => {
    for (const [lib, allowed] of Object.entries(DIRECTIONS))
      for (const other of allowed) expect(check(`libs/${lib}/src/a.ts`, `import { b } from '#libs/${other}'\n`)).toEqual([])
  })

  it('sees imports over several lines, re-exports, side effects and dynamic imports', () => {
    const text = `import {\n  a,\n  b,\n} from '#libs/runs'\nexport * from '#libs/datasets'\nimport '#libs/artifacts'\nconst c = await import('#libs/queueing')\n`
    expect(check('libs/engine/src/a.ts', text)).toHaveLength(4)
  })

  it('gives apps every lib, through its package entry alone', () => {
    expect(check('apps/worker/src/a.ts', `import { a } from '#libs/queueing'\nimport { b } from '#libs/runs'\n`)).toEqual([])
    expect(check('apps/worker/src/a.ts', `import { a } from '#libs/queueing/src/redis.ts'\n`)).toEqual([
      "1: '#libs/queueing/src/redis.ts': a lib is imported by its package entry alone, as '#libs/<name>'",
    ])
  })

  it('keeps testkit out of product code and lets it see every lib', () => {
    const use = `import { createTestDatabase } from '#libs/testkit'\n`
    expect(check('libs/runs/src/a.ts', use)).toEqual(["1: '#libs/testkit' is for tests alone"])
    expect(check('libs/runs/src/a.test.ts', use)).toEqual([])
    expect(check('libs/testkit/src/a.ts', `import { a } from '#libs/run-store'\n`)).toEqual([])
  })
})

describe('relative imports', () => {
  it('stay inside their lib or app', () => {
    expect(check('apps/api/src/a.ts', `import { a } from '../../worker/src/config.ts'\n`)).toEqual([
      "1: '../../worker/src/config.ts' leaves apps/api",
    ])
    expect(check('libs/runs/src/deep/a.ts', `import { a } from '../states.ts'\n`)).toEqual([])
    expect(check('test/integration/a.test.ts', `import { a } from '../../apps/worker/src/supervisor.ts'\n`)).toEqual([])
  })

  it('name the extension', () => {
    expect(check('libs/runs/src/a.ts', `import { a } from './states'\n`)).toHaveLength(1)
  })

  it('of product code do not reach test code', () => {
    expect(check('libs/queueing/src/index.ts', `export * from './conformance/run-queue.ts'\n`)).toHaveLength(1)
    expect(check('apps/api/src/server.ts', `import { app } from './testing/app.ts'\n`)).toHaveLength(1)
    expect(check('apps/api/src/testing/app.ts', `import { vi } from 'vitest'\n`)).toEqual([])
  })
})

describe('owned packages', () => {
  it('are imported by their owner alone', () => {
    const owned = { bullmq: 'queueing', ioredis: 'queueing', '@prisma/client': 'run-store', '@aws-sdk/client-s3': 'artifacts' }
    for (const [name, owner] of Object.entries(owned)) {
      expect(check(`libs/${owner}/src/a.ts`, `import { a } from '${name}'\n`)).toEqual([])
      expect(check('apps/scheduler/src/a.ts', `import { a } from '${name}'\n`), name).toEqual([
        `1: '${name}' belongs to libs/${owner} alone`,
      ])
    }
    expect(check('libs/training/src/a.ts', `import '@tensorflow/tfjs-backend-cpu'\n`)).toHaveLength(1)
    expect(check('libs/engine/src/a.ts', `import '@tensorflow/tfjs-backend-cpu'\n`)).toEqual([])
    expect(check('libs/runs/src/a.ts', `import Fastify from 'fastify'\nimport helmet from '@fastify/helmet'\n`)).toHaveLength(2)
  })
})

describe('sources', () => {
  it('read process.env in the config of an app alone', () => {
    const use = 'export const url = process.env.DATABASE_URL\n'
    expect(check('libs/runs/src/a.ts', use)).toEqual(['1: process.env is read in apps/*/src/config.ts alone'])
    expect(check('apps/api/src/server.ts', use)).toHaveLength(1)
    expect(check('apps/api/src/config.ts', use)).toEqual([])
    expect(check('libs/runs/src/a.test.ts', use)).toEqual([])
  })

  it('of pure libs hold no clock, no random generator and no timer', () => {
    const text =
      'const a = Date.now()\nconst b = Math.random()\nsetTimeout(() => {}, 1)\nconst c = new Date()\nconst d = new Date(0)\n'
    expect(check('libs/scheduling/src/a.ts', text).map((found) => found.slice(0, 2))).toEqual(['1:', '2:', '3:', '4:'])
    expect(check('libs/runs/src/a.ts', text)).toEqual([])
  })

  it('may speak of forbidden things in comments', () => {
    const text = `/**\n * import { a } from '#libs/training' would be wrong, and so would Math.random().\n */\n// Date.now() is the caller's\nexport const a = 1 /* process.env */\n`
    expect(check('libs/msn/src/a.ts', text)).toEqual([])
  })

  it('are not looked for in generated folders and packages', () => {
    expect(check('libs/run-store/src/generated/a.ts', `import '#libs/nothing'\n`)).toEqual([])
    expect(check('apps/cli/node_modules/a/index.js', `import '#libs/nothing'\n`)).toEqual([])
  })
})

describe('the command', () => {
  const script = fileURLToPath(new URL('./check-imports.mjs', import.meta.url))
  const run = (root: string) => promisify(execFile)(process.execPath, [script, root])

  it('prints file, line and rule and exits 1 on a violating tree', async () => {
    const root = tree({ 'libs/runs/src/a.ts': `import { Queue } from 'bullmq'\n` })
    await expect(run(root)).rejects.toMatchObject({
      code: 1,
      stderr: "libs/runs/src/a.ts:1: 'bullmq' belongs to libs/queueing alone\n1 forbidden import or use\n",
    })
  })

  it('exits 0 and says nothing on a clean tree', async () => {
    const root = tree({ 'libs/queueing/src/a.ts': `import { Queue } from 'bullmq'\n` })
    expect(await run(root)).toMatchObject({ stdout: '', stderr: '' })
  })
})
