import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createExecutor } from './engines.ts'
import { ProgramCache, programKey } from './program-cache.ts'
import { regressionBatch, regressionState, regressionStep } from './testing.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cxrlab-program-cache-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** State after two steps of an executor that caches in `cacheFolder`. */
async function trained(cacheFolder: string | null) {
  const executor = createExecutor('onnx', { threads: 1, programCacheFolder: cacheFolder })
  const session = await executor.load(regressionStep, regressionState())
  for (let i = 0; i < 2; i++) await session.run(regressionBatch(i), { lr: 0.1 })
  const state = session.readState()
  await session.dispose()
  return state
}

const entries = (): string[] => readdirSync(folder)

describe('the program cache of the ONNX engine', () => {
  it('keeps one program a step and gives the same bits from it', async () => {
    const expected = await trained(null)
    expect(await trained(folder)).toEqual(expected)
    expect(entries()).toHaveLength(1)
    const written = readFileSync(join(folder, entries()[0]!))
    expect(await trained(folder)).toEqual(expected)
    expect(entries()).toHaveLength(1)
    expect(readFileSync(join(folder, entries()[0]!)).equals(written)).toBe(true)
  })

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 7)],
    ['with a changed byte', (bytes: Buffer) => Buffer.from(bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte)))],
    ['emptied', () => Buffer.alloc(0)],
  ])('makes an entry anew that was %s', async (_, damage) => {
    const expected = await trained(folder)
    const path = join(folder, entries()[0]!)
    const whole = readFileSync(path)
    writeFileSync(path, damage(whole))
    expect(await trained(folder)).toEqual(expected)
    expect(entries()).toEqual([path.slice(folder.length + 1)])
    expect(readFileSync(path)).toEqual(whole)
  })

  it('makes an entry anew that is whole but no model', async () => {
    const cache = new ProgramCache(folder)
    const expected = await trained(folder)
    const key = entries()[0]!.replace('.program', '')
    await cache.fill(key, async (file) => writeFileSync(file!, 'no model'))
    expect(await trained(folder)).toEqual(expected)
    expect(Buffer.from(cache.read(key)!).toString()).not.toBe('no model')
  })

  it('goes without where the folder cannot be made', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    expect(await trained(join(file, 'cache'))).toEqual(await trained(null))
    expect(existsSync(join(file, 'cache'))).toBe(false)
  })

  it('leaves nothing behind of a program that could not be made', async () => {
    const failing = new ProgramCache(folder).fill('key', async () => {
      throw new RangeError('no')
    })
    await expect(failing).rejects.toThrow(new RangeError('no'))
    expect(entries()).toEqual([])
  })
})

it('a key tells its parts apart', () => {
  expect(programKey(['ab', 'c'])).not.toBe(programKey(['a', 'bc']))
  expect(programKey(['ab', 'c'])).toBe(programKey([Buffer.from('ab'), 'c']))
})
