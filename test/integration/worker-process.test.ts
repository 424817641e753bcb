/** The worker as a process: what it says when it cannot start, and how it leaves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '#libs/testkit'

const MAIN = fileURLToPath(new URL('../../apps/worker/src/main.ts', import.meta.url))

function startProcess(environment: Record<string, string>, args: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    env: { PATH: process.env.PATH ?? '', OBJECT_STORE_URL: 'file:///tmp/never-used', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  return {
    child,
    /** The log line with this text; rejects where the process ends without it. */
    async logged(text: string): Promise<Record<string, unknown>> {
      for await (const line of createInterface(child.stdout)) {
        if (line.includes(text)) {
          child.stdout.resume()
          return JSON.parse(line) as Record<string, unknown>
        }
      }
      throw new Error(`the worker ended without "${text}": ${stderr}`)
    },
    async ended() {
      child.stdout.resume()
      const [code, signal] = await closed
      return { code, signal, stderr: stderr.trim().split('\n') }
    },
  }
}

const processes: ReturnType<typeof startProcess>[] = []
function worker(environment: Record<string, string>, ...args: string[]) {
  const started = startProcess(environment, args)
  processes.push(started)
  return started
}
afterEach(() => {
  for (const { child } of processes.splice(0)) child.kill('SIGKILL')
})

describe('the worker process', () => {
  let database: TestDatabase
  let empty: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
    empty = await createEmptyDatabase()
  })
  // Dropping fails where a session was left open.
  afterAll(async () => {
    await database.drop()
    await empty.drop()
  })

  it('says everything that is wrong with its configuration, one line a variable, and exits with 1', async () => {
    const { code, stderr } = await worker({ DATABASE_URL: 'file:///x', CONCURRENCY: 'many' }).ended()
    expect(code).toBe(1)
    expect(stderr.map((line) => line.split(': ').slice(0, 2).join(': ')).toSorted()).toEqual([
      'cxrlab worker: CONCURRENCY',
      'cxrlab worker: DATABASE_URL',
      'cxrlab worker: QUEUE_URL',
    ])
  })

  it.each([
    ['the database', { DATABASE_URL: 'postgres://lab:hunter2@127.0.0.1:1/lab', QUEUE_URL: 'redis://127.0.0.1:1' }],
    ['the queue', { QUEUE_URL: 'redis://lab:hunter2@127.0.0.1:1' }],
  ])('says in one line that it cannot reach %s, and exits with 1', async (what, environment) => {
    const { code, stderr } = await worker({ DATABASE_URL: database.url, ...environment }).ended()
    expect(code).toBe(1)
    expect(stderr).toEqual([expect.stringMatching(new RegExp(`^cxrlab worker: cannot reach ${what} .*ECONNREFUSED`))])
    expect(stderr.join()).not.toContain('hunter2')
  })

  it('refuses a database without its schema in one line, and exits with 1', async () => {
    const { code, stderr } = await worker({ DATABASE_URL: empty.url, QUEUE_URL: empty.url }).ended()
    expect(code).toBe(1)
    expect(stderr).toEqual([expect.stringMatching(/^cxrlab worker: the database lacks .*migrate deploy/)])
  })

  it('leaves with 0 when nothing came for as long as --until-idle says', async () => {
    const addresses = { DATABASE_URL: database.url, QUEUE_URL: database.url }
    expect(await worker(addresses, '--until-idle', '0.001').ended()).toMatchObject({ code: 0, signal: null })
  })

  it.each([
    [['--until-idle', 'soon'], /^cxrlab worker: UNTIL_IDLE_MINUTES: /],
    [['--fast'], /^cxrlab worker: .*--fast.*usage: \[--until-idle MINUTES\]/],
  ])('says what is wrong with the arguments %s', async (args, message) => {
    const { code, stderr } = await worker({ DATABASE_URL: database.url, QUEUE_URL: database.url }, ...args).ended()
    expect({ code, stderr }).toEqual({ code: 1, stderr: [expect.stringMatching(message)] })
  })

  it.each(['SIGTERM', 'SIGINT'] as const)('takes attempts until %s, then leaves with 0 and no session behind', async (signal) => {
    const started = worker({ DATABASE_URL: database.url, QUEUE_URL: database.url })
    expect(await started.logged('worker takes attempts')).toMatchObject({
      service: 'worker',
      resource_class: 'cpu',
      concurrency: 1,
    })
    started.child.kill(signal)
    expect(await started.ended()).toMatchObject({ code: 0, signal: null })
  })
})
