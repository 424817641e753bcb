/** Postgres and Redis of a lab under fire: killed without a word, and there again at the same address. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { EmbeddedPostgresError, startEmbeddedPostgres } from '#libs/run-store'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export interface Server {
  readonly url: string
  /** kill -9, and resolves when it serves again. */
  crash(): Promise<void>
  stop(): Promise<void>
}

/** Sessions of a killed server take a moment to notice; until then its shared memory cannot be taken over. */
const TAKE_OVER_MS = 20_000

export async function startPostgres(dir: string): Promise<Server> {
  const port = await freePort()
  const start = () => startEmbeddedPostgres(join(dir, 'postgres'), { log: join(dir, 'postgres.log'), port })
  let server = await start()
  return {
    url: server.url,
    async crash() {
      process.kill(server.pid, 'SIGKILL')
      const deadline = performance.now() + TAKE_OVER_MS
      for (;;) {
        try {
          server = await start()
          return
        } catch (error) {
          if (!(error instanceof EmbeddedPostgresError) || performance.now() > deadline) throw error
        }
      }
    },
    stop: () => server.stop(),
  }
}

export interface RedisServer extends Server {
  flush(): Promise<void>
}

export async function startRedis(program: string, dir: string): Promise<RedisServer> {
  const port = await freePort()
  const flags = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir]
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(program, [...flags, '--maxmemory-policy', 'noeviction'].map(String), {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    for await (const chunk of child.stdout) {
      output += String(chunk)
      if (!output.includes('Ready to accept connections')) continue
      child.stdout.destroy()
      return child
    }
    throw new Error(`${program} did not start: ${output.slice(-500)}`)
  }
  let server = await start()
  const end = async () => {
    const gone = once(server, 'exit')
    server.kill('SIGKILL')
    await gone
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    async crash() {
      await end()
      server = await start()
    },
    async flush() {
      const { Redis } = await import('ioredis')
      const client = new Redis(port, '127.0.0.1')
      await client.flushall()
      client.disconnect()
    },
    stop: end,
  }
}

/** Tries `work` again while its server is away. */
export async function patiently<T>(work: () => Promise<T>, withinMs = 60_000): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(50)
    }
  }
}
