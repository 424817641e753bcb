/**
 * One lab a folder. The lock names the processes of the lab; where their parent was killed, the next lab ends the orphans
 * before it starts, so that two workers never work for one folder unseen.
 */
import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { LabError } from '../errors.ts'
import type { LabFolder } from './lab-folder.ts'

const stateSchema = z.object({
  pid: z.int(),
  /** Command line of that process, which tells it from another program that got its id later. */
  command: z.string(),
  /** Entry file of each child beside its process id: a reused id belongs to another program. */
  children: z.array(z.object({ name: z.string(), pid: z.int(), entry: z.string() })),
})
type LabState = z.output<typeof stateSchema>

const ORPHANS_END_WITHIN_MS = 10_000
const POLL_MS = 100

export interface LabLock {
  /** Writes down who runs now. */
  record(children: LabState['children']): Promise<void>
  release(): Promise<void>
}

/** @throws LabError where another lab runs on this folder. */
export async function lockLab(folder: LabFolder, note: (line: string) => void): Promise<LabLock> {
  const command = await commandOf(process.pid)
  const stateOf = (children: LabState['children']) => JSON.stringify({ pid: process.pid, command, children } satisfies LabState)
  const before = await readState(folder.state)
  if (before !== undefined) await takeOver(before, folder, note)
  await rm(folder.state, { force: true })
  try {
    await writeFile(folder.state, stateOf([]), { flag: 'wx' })
  } catch (error) {
    throw new LabError('lab-running', `another lab is just starting on ${folder.dir}`, { cause: error })
  }
  // One write after the other: services start at once, and two writes into one file would mix.
  let lastWrite = Promise.resolve()
  return {
    async record(children) {
      lastWrite = lastWrite.then(() => writeFile(folder.state, stateOf(children)))
      await lastWrite
    },
    async release() {
      await lastWrite.catch(() => undefined)
      await rm(folder.state, { force: true })
    },
  }
}

async function readState(path: string): Promise<LabState | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return stateSchema.parse(JSON.parse(text))
  } catch {
    // Cut off by a crash: it names nobody.
    return undefined
  }
}

async function takeOver(before: LabState, folder: LabFolder, note: (line: string) => void): Promise<void> {
  if (isAlive(before.pid) && (await commandOf(before.pid)) === before.command) {
    throw new LabError('lab-running', `a lab already runs on ${folder.dir} (process ${before.pid})`)
  }
  const orphans: number[] = []
  for (const { pid, entry } of before.children) if ((await commandOf(pid)).includes(entry)) orphans.push(pid)
  if (orphans.length === 0) return
  note(`ending ${orphans.length} processes that an earlier lab left behind`)
  for (const pid of orphans) signal(pid, 'SIGTERM')
  const deadline = performance.now() + ORPHANS_END_WITHIN_MS
  while (orphans.some(isAlive) && performance.now() < deadline) await delay(POLL_MS)
  for (const pid of orphans.filter(isAlive)) signal(pid, 'SIGKILL')
}

/** Command line of a process; empty where it is gone. From /proc where there is one: small images have no `ps`. */
export async function commandOf(pid: number): Promise<string> {
  if (!isAlive(pid)) return ''
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').join(' ').trim()
  } catch {
    const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
    return stdout.trim()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
