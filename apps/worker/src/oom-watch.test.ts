import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { watchOom } from './oom-watch.ts'

describe('watchOom', () => {
  let home: string
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'oom-'))
  })
  afterEach(() => rm(home, { recursive: true }))
  const events = (kills: number) => writeFile(join(home, 'memory.events'), `low 0\nhigh 0\noom 3\noom_kill ${kills}\n`)
  const begin = async () => {
    const watch = watchOom([join(home, 'absent'), join(home, 'memory.events')])
    // Its first look has been taken when this answers.
    expect(await watch.hasKilled()).toBe(false)
    return watch
  }

  it('reports a kill since it began, not one before', async () => {
    await events(2)
    const watch = await begin()
    await events(3)
    expect(await watch.hasKilled()).toBe(true)
  })

  it('reports nothing where the system does not count', async () => {
    const watch = await begin()
    expect(await watch.hasKilled()).toBe(false)
  })
})
