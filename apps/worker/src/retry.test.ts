import { describe, expect, it, vi } from 'vitest'
import { orAborted, retry } from './retry.ts'

const never = () => new Promise<never>(() => {})

describe('retry', () => {
  it('goes on until the work succeeds, however often it failed', async () => {
    let failures = 100
    const work = async () => {
      if (failures-- > 0) throw new Error('away')
      return 'done'
    }
    const onError = vi.fn()
    expect(await retry(work, { signal: new AbortController().signal, firstDelayMs: 0, onError })).toBe('done')
    expect(onError).toHaveBeenCalledTimes(100)
  })

  it('gives up at once on what would fail again', async () => {
    const work = vi.fn(async () => {
      throw new Error('refused value')
    })
    const options = { signal: new AbortController().signal, isFinal: () => true, onError: vi.fn() }
    await expect(retry(work, options)).rejects.toThrow('refused value')
    expect(work).toHaveBeenCalledTimes(1)
  })

  it('ends with the reason when it is aborted in the middle of work that never answers', async () => {
    const abort = new AbortController()
    const result = retry(never, { signal: abort.signal, onError: vi.fn() })
    abort.abort(new Error('lease lost'))
    await expect(result).rejects.toThrow('lease lost')
  })
})

describe('orAborted', () => {
  it('gives what the promise gives', async () => {
    expect(await orAborted(Promise.resolve(7), new AbortController().signal)).toBe(7)
  })

  it('does not wait where it was aborted before', async () => {
    await expect(orAborted(never(), AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
  })
})
