/** A Redis of one's own for a test file: in memory, on a free port, gone with `stop`. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestRedis {
  readonly url: string
  /** Kills the server and starts another one on the same port: all jobs are lost, clients must come back by themselves. */
  restart(): Promise<void>
  /** Ends the server without removing the port from clients' minds; `restart` brings it back. */
  interrupt(): Promise<void>
  stop(): Promise<void>
}

/** The server program on this machine's PATH, or undefined. */
export function findRedisServer(): string | undefined {
  return ['redis-server', 'valkey-server'].find((program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0)
}

export async function startTestRedis(program: string): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'cxrlab-redis-'))
  const port = await freePort()
  let server = await start(program, port, folder)
  const interrupt = () => end(server)
  return {
    url: `redis://127.0.0.1:${port}`,
    interrupt,
    async restart() {
      await interrupt()
      server = await start(program, port, folder)
    },
    async stop() {
      await interrupt()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function start(program: string, port: number, folder: string): Promise<ChildProcess> {
  const flags = [
    '--port',
    port,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
    '--maxmemory-policy',
    'noeviction',
  ]
  const server = spawn(program, flags.map(String), { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  for await (const chunk of server.stdout) {
    output += String(chunk)
    if (output.includes('Ready to accept connections')) {
      server.stdout.destroy()
      return server
    }
  }
  throw new Error(`${program} did not start: ${output.split('\n').slice(-5).join(' ')}`)
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = once(server, 'exit')
  server.kill('SIGKILL')
  await gone
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
