/**
 * Vitest's global set-up: a folder for the services of one test run. Services start when the first file asks for them, and
 * end here, after the last file, whatever the files did.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of this test run's services; gone after the run. */
    serviceFolder: string
  }
}

const STOP_TIMEOUT_MS = 20_000

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'cxrlab-test-'))
  // As root, Postgres runs as another user, who must be able to pass through.
  await chmod(folder, 0o711)
  project.provide('serviceFolder', folder)
  return async () => {
    await stopPostmaster(join(folder, 'postgres', 'data', 'postmaster.pid'))
    await rm(folder, { recursive: true, force: true })
  }
}

/** Fast shutdown of the server whose pid file this is; a server that does not end fails the run. */
async function stopPostmaster(pidFile: string): Promise<void> {
  const pid = await readFile(pidFile, 'utf8').then(
    (text) => Number(text.split('\n')[0]),
    () => undefined,
  )
  if (pid === undefined || !signalled(pid, 'SIGINT')) return
  const deadline = performance.now() + STOP_TIMEOUT_MS
  while (signalled(pid, 0)) {
    if (performance.now() > deadline) throw new Error(`the tests' Postgres (process ${pid}) did not stop`)
    await delay(20)
  }
}

function signalled(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}
