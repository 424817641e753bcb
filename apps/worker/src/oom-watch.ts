/**
 * Whether the kernel killed a process for want of memory since this watch began: its own counts, of this control group where there
 * is one, else of the machine. A SIGKILL alone does not tell: people and orchestrators send it too.
 */
import { readFile } from 'node:fs/promises'

export interface OomWatch {
  hasKilled(): Promise<boolean>
}

/** Files with a line `oom_kill N`, the most telling first: control groups 2 and 1, the machine. */
const COUNTERS = ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control', '/proc/vmstat']

/** `files` is for tests. Where the system has none of them, nothing is ever reported. */
export function watchOom(files: readonly string[] = COUNTERS): OomWatch {
  const before = count(files)
  return {
    async hasKilled() {
      const [then, now] = await Promise.all([before, count(files)])
      return then !== undefined && now !== undefined && now > then
    },
  }
}

async function count(files: readonly string[]): Promise<number | undefined> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const found = /^oom_kill (\d+)$/m.exec(text)?.[1]
    if (found !== undefined) return Number(found)
  }
  return undefined
}
