/** The embedded lab as `cxrlab up` starts it: real Postgres, api, scheduler and worker as processes. */
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Lab, startLab } from '../../apps/cli/src/lab/start-lab.ts'

let dir: string
let lab: Lab | undefined

const start = async () => await startLab({ dir: join(dir, 'lab'), port: 0, datasetRoots: [dir], environment: process.env })

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cxrlab-up-'))
  // As root, Postgres runs as another user, who must be able to pass through.
  await chmod(dir, 0o711)
  lab = await start()
})

afterAll(async () => {
  await lab?.stop()
  await rm(dir, { recursive: true, force: true })
})

function running(): Lab {
  if (lab === undefined) throw new Error('the lab is not up')
  return lab
}

const datasets = async (): Promise<number> => (await fetch(`${running().apiUrl}/v1/datasets`)).status

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('the embedded lab', () => {
  it('serves on loopback, with all its services and their logs', async () => {
    expect(new URL(running().apiUrl).hostname).toBe('127.0.0.1')
    expect(await datasets()).toBe(200)
    expect(Object.values(running().processes()).every((pid) => pid !== undefined && isAlive(pid))).toBe(true)
    expect((await readdir(running().logs)).sort()).toEqual(['api.log', 'postgres.log', 'scheduler.log', 'worker.log'])
  })

  it('is one a folder', async () => {
    await expect(start()).rejects.toThrow(/a lab already runs on/)
    expect(await datasets()).toBe(200)
  })

  it('starts a service again that was killed', async () => {
    const before = running().processes().api as number
    process.kill(before, 'SIGKILL')
    await vi.waitFor(
      async () => {
        expect(running().processes().api).not.toBe(before)
        expect(await datasets()).toBe(200)
      },
      { timeout: 50_000, interval: 100 },
    )
  })

  it('leaves nothing behind where it is interrupted while it starts', async () => {
    const interrupt = new AbortController()
    const folder = join(dir, 'interrupted')
    const starting = startLab({ dir: folder, port: 0, datasetRoots: [], environment: process.env, signal: interrupt.signal })
    interrupt.abort()
    await expect(starting).rejects.toThrow('the lab was stopped before it was up')
    await expect(stat(join(folder, 'postgres', 'postmaster.pid'))).rejects.toThrow()
    await expect(stat(join(folder, 'lab.json'))).rejects.toThrow()
  })

  it('stops everything, and starts again on what it kept', async () => {
    const { apiUrl, processes, stop } = running()
    const body = JSON.stringify({ name: 'none', kind: 'nih14', root: dir })
    const refused = await fetch(`${apiUrl}/v1/datasets`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect(refused.status).toBe(422)
    const pids = Object.values(processes()) as number[]
    await stop()
    expect(pids.filter(isAlive)).toEqual([])
    await expect(stat(join(dir, 'lab', 'postgres', 'postmaster.pid'))).rejects.toThrow()
    await expect(stat(join(dir, 'lab', 'lab.json'))).rejects.toThrow()
    lab = await start()
    expect(await datasets()).toBe(200)
  })
})
