/** The scheduler as a process: what it says when it cannot start, and how it leaves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '#libs/testkit'

const MAIN = fileURLToPath(new URL('../../apps/scheduler/src/main.ts', import.meta.url))

let database: TestDatabase
let empty: TestDatabase
const children: ReturnType<typeof spawn>[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  empty = await createEmptyDatabase()
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
// Dropping fails where a session was left open.
afterAll(async () => {
  await database?.drop()
  await empty?.drop()
})

function scheduler(environment: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN], {
    env: { PATH: process.env.PATH ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  return {
    child,
    async logged(text: string): Promise<void> {
      for await (const line of createInterface(child.stdout)) if (line.includes(text)) return
      throw new Error(`the scheduler ended without "${text}": ${stderr}`)
    },
    async ended() {
      child.stdout.resume()
      const [code, signal] = await closed
      return { code, signal, stderr: stderr.trimEnd().split('\n') }
    },
  }
}

describe('the process of the scheduler', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('leads, and ends with 0 and no session left at %s', async (signal) => {
    const started = scheduler({ DATABASE_URL: database.url, QUEUE_URL: database.url })
    await started.logged('this scheduler leads')
    started.child.kill(signal)
    expect(await started.ended()).toEqual({ code: 0, signal: null, stderr: [''] })
  })

  it('says in one line that the schema is another, and exits with 1', async () => {
    const { code, stderr } = await scheduler({ DATABASE_URL: empty.url, QUEUE_URL: empty.url }).ended()
    expect(code).toBe(1)
    expect(stderr).toEqual([expect.stringMatching(/^cxrlab scheduler: the database lacks .*prisma migrate deploy/)])
  })

  it('says in one line that the database does not answer, without the password, and exits with 1', async () => {
    const url = 'postgres://lab:hunter2@127.0.0.1:1/lab'
    const { code, stderr } = await scheduler({ DATABASE_URL: url, QUEUE_URL: url }).ended()
    expect(code).toBe(1)
    expect(stderr).toEqual([expect.stringMatching(/^cxrlab scheduler: .*ECONNREFUSED/)])
    expect(stderr.join()).not.toContain('hunter2')
  })

  it('names every wrong variable, and exits with 1', async () => {
    const { code, stderr } = await scheduler({ QUEUE_URL: 'ftp://queue', SHUTDOWN_MS: 'soon' }).ended()
    expect(code).toBe(1)
    expect(stderr).toHaveLength(1)
    for (const name of ['DATABASE_URL', 'QUEUE_URL', 'SHUTDOWN_MS']) expect(stderr[0]).toContain(`${name}: `)
  })
})
