import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { LabError } from '../errors.ts'
import { serviceEnvironment } from './environment.ts'
import { usablePort } from './free-port.ts'
import { openLabFolder, rotateLog } from './lab-folder.ts'
import { commandOf, lockLab } from './lab-lock.ts'
import { shortLogLine } from './log-line.ts'
import { createRestartPolicy } from './restart-policy.ts'
import { createServiceProcess } from './service-process.ts'

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'cxrlab-lab-'))
  onTestFinished(async () => await rm(dir, { recursive: true, force: true }))
  return dir
}

const isRoot = process.getuid?.() === 0

describe('lab folder', () => {
  it('is made with what belongs in it', async () => {
    const folder = await openLabFolder(join(await tempDir(), 'a', 'lab'))
    for (const part of [folder.logs, folder.objects]) expect((await stat(part)).isDirectory()).toBe(true)
  })

  it('is refused in one line where a file lies there', async () => {
    const file = join(await tempDir(), 'file')
    await writeFile(file, '')
    await expect(openLabFolder(file)).rejects.toThrow(`${file} is not a folder; choose another folder with --dir`)
    await expect(openLabFolder(join(file, 'below'))).rejects.toThrow(/is not a folder/)
  })

  it.skipIf(process.platform !== 'linux')('is refused where no folder can be made (on Linux: below /proc)', async () => {
    await expect(openLabFolder('/proc/none/lab')).rejects.toThrow(/^\/proc\/none\/lab cannot be made there/)
  })

  it.skipIf(isRoot)('is refused in one line where it may not be written (skipped for root, who may write anywhere)', async () => {
    const dir = await tempDir()
    await chmod(dir, 0o555)
    await expect(openLabFolder(join(dir, 'lab'))).rejects.toThrow(/may not be written by this user/)
    await chmod(dir, 0o755)
  })
  if (isRoot) console.warn('not run as root: the refusal of a folder without write permission')

  it('moves a log aside once it is large', async () => {
    const log = join(await tempDir(), 'api.log')
    await writeFile(log, 'short')
    await rotateLog(log)
    expect(await readFile(log, 'utf8')).toBe('short')
    await writeFile(log, Buffer.alloc(11 * 2 ** 20))
    await rotateLog(log)
    await expect(stat(log)).rejects.toThrow()
    expect((await stat(`${log}.1`)).size).toBe(11 * 2 ** 20)
  })
})

describe('port', () => {
  it('is refused in one line where it is in use', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(async () => await new Promise<void>((resolve) => server.close(() => resolve())))
    const { port } = server.address() as AddressInfo
    await expect(usablePort(port)).rejects.toThrow(`port ${port} is in use; choose another with --port`)
  })

  it('0 becomes a free one', async () => expect(await usablePort(0)).toBeGreaterThan(0))
})

describe('lock of a lab', () => {
  const quiet = () => undefined

  it('is refused while a lab runs on the folder, and free after it', async () => {
    const folder = await openLabFolder(await tempDir())
    const other = spawn(process.execPath, ['-e', 'console.log("up"); setInterval(() => {}, 1000)'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void other.kill('SIGKILL'))
    await new Promise((resolve) => other.stdout.once('data', resolve))
    const pid = other.pid ?? 0
    await writeFile(folder.state, JSON.stringify({ pid, command: await commandOf(pid), children: [] }))
    await expect(lockLab(folder, quiet)).rejects.toThrow(`a lab already runs on ${folder.dir} (process ${other.pid})`)
    other.kill('SIGKILL')
    await new Promise((resolve) => other.once('exit', resolve))
    const lock = await lockLab(folder, quiet)
    await lock.release()
    await expect(stat(folder.state)).rejects.toThrow()
  })

  it('ends what a killed lab left behind, and only that', async () => {
    const folder = await openLabFolder(await tempDir())
    const entry = join(folder.dir, 'service.mjs')
    await writeFile(entry, 'setInterval(() => {}, 1000)')
    const orphan = spawn(process.execPath, [entry], { stdio: 'ignore' })
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    onTestFinished(() => {
      orphan.kill('SIGKILL')
      stranger.kill('SIGKILL')
    })
    const ended = new Promise((resolve) => orphan.once('exit', (_code, signal) => resolve(signal)))
    // A process id that was given to another program since must not be hit.
    const children = [orphan, stranger].map(({ pid }, i) => ({ name: `s${i}`, pid, entry }))
    await writeFile(folder.state, JSON.stringify({ pid: stranger.pid, command: 'of another time', children }))
    await lockLab(folder, quiet)
    expect(await ended).toBe('SIGTERM')
    expect(isRunning(stranger)).toBe(true)
  })

  it('takes a lock file that a crash cut off for none', async () => {
    const folder = await openLabFolder(await tempDir())
    await writeFile(folder.state, '{"pid":')
    await expect(lockLab(folder, quiet)).resolves.toBeDefined()
  })
})

describe('restart policy', () => {
  it('waits longer after each crash and gives up after five in a row', () => {
    const policy = createRestartPolicy()
    const decisions = Array.from({ length: 5 }, () => policy.crashed(100))
    expect(decisions.slice(0, 4).map((decision) => decision.kind === 'restart' && decision.delayMs)).toEqual([
      500, 1000, 2000, 4000,
    ])
    expect(decisions[4]).toEqual({ kind: 'give-up', crashes: 5 })
  })

  it('forgets crashes of long ago', () => {
    const policy = createRestartPolicy()
    for (let i = 0; i < 20; i++) expect(policy.crashed(61_000)).toEqual({ kind: 'restart', delayMs: 500 })
  })
})

describe('service process', () => {
  async function service(source: string, stopWithinMs = 5000) {
    const dir = await tempDir()
    const entry = join(dir, 'service.mts')
    await writeFile(entry, source)
    const logFile = join(dir, 'service.log')
    const lines: string[] = []
    const notes: string[] = []
    const givenUp = vi.fn<(error: LabError) => void>()
    const started = vi.fn()
    const made = createServiceProcess({
      name: 'demo',
      entry,
      environment: { PATH: process.env.PATH, GREETING: 'hello' },
      logFile,
      stopWithinMs,
      note: (line) => notes.push(line),
      onLine: (line) => lines.push(line),
      onGiveUp: givenUp,
      onStarted: started,
    })
    onTestFinished(async () => await made.stop())
    return { made, lines, notes, logFile, givenUp, started }
  }

  it('runs TypeScript with the given environment, logs to its file and ends on SIGTERM', async () => {
    const { made, lines, logFile, notes } = await service(
      `const text: string = process.env.GREETING ?? ''
       console.log(text); console.error('oops'); setInterval(() => {}, 1000)
       process.on('SIGTERM', () => { console.log('bye'); process.exit(0) })`,
    )
    await made.start()
    await vi.waitFor(() => expect(lines.sort()).toEqual(['hello', 'oops']), 10_000)
    await made.stop()
    expect(made.pid()).toBeUndefined()
    expect(await readFile(logFile, 'utf8')).toContain('bye')
    expect(notes).toEqual([])
  })

  it('is killed where it does not end in time', async () => {
    const { made, lines } = await service(`process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)`, 100)
    await made.start()
    await vi.waitFor(() => expect(lines).toEqual(['up']), 10_000)
    await made.stop()
    expect(made.pid()).toBeUndefined()
  })

  it('is started again after a crash', async () => {
    const { made, lines, notes, started } = await service(`console.log('up'); setTimeout(() => process.exit(3), 10)`)
    await made.start()
    await vi.waitFor(() => expect(lines.length).toBeGreaterThanOrEqual(2), 15_000)
    expect(notes[0]).toMatch(/^demo ended with code 3; starting it again/)
    expect(started.mock.calls.length).toBeGreaterThanOrEqual(2)
  })
})

describe('what services are told', () => {
  it('is where the lab lies; the lab wins over the environment it was started from', async () => {
    const dir = await tempDir()
    await mkdir(join(dir, 'with space'))
    const folder = await openLabFolder(join(dir, 'with space'))
    const addresses = {
      databaseUrl: 'postgresql://127.0.0.1:1/db',
      queueUrl: undefined,
      port: 8081,
      workerMetricsPort: 8082,
      datasetRoots: ['/a', '/b'],
    }
    const environment = serviceEnvironment({ PATH: '/bin', API_HOST: '0.0.0.0', DATABASE_URL: 'other' }, folder, addresses)
    expect(environment).toMatchObject({
      PATH: '/bin',
      API_HOST: '127.0.0.1',
      API_PORT: '8081',
      METRICS_HOST: '127.0.0.1',
      METRICS_PORT: '8082',
      DATABASE_URL: 'postgresql://127.0.0.1:1/db',
      QUEUE_URL: 'postgresql://127.0.0.1:1/db',
      DATASET_ROOTS: ['/a', '/b'].join(delimiter),
    })
    expect(environment.OBJECT_STORE_URL).toMatch(/^file:\/\/\/.*with%20space\/objects$/)
    expect(serviceEnvironment({}, folder, { ...addresses, queueUrl: 'redis://r' }).QUEUE_URL).toBe('redis://r')
  })
})

describe('short log lines', () => {
  it('show time, service, level, message and plain facts', () => {
    const line = JSON.stringify({
      level: 'warn',
      time: '2026-01-01T12:03:04.000Z',
      service: 'worker',
      pid: 1,
      run_id: 'f00d',
      msg: 'lost',
    })
    expect(shortLogLine('worker', line)).toBe('12:03:04 worker warn  lost run_id=f00d')
  })

  it('show what is no JSON as it is', () => expect(shortLogLine('api', 'Error: x')).toBe('api Error: x'))
})

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
