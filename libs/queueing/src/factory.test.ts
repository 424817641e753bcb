import { describe, expect, it } from 'vitest'
import { createLogger } from '#libs/telemetry'
import { createRunQueueFactory } from './factory.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
const open = (url: string) =>
  createRunQueueFactory(url, { role: 'producer', logger, timing: { connectMs: 2000 } }).catch((error: unknown) => error)

describe('createRunQueueFactory', () => {
  it('names an unreachable server in one line, without its credentials', async () => {
    for (const url of [
      'redis://lab:hunter2@127.0.0.1:1',
      'postgres://lab:hunter2@127.0.0.1:1/lab',
      'postgres://lab:hunter2@localhost:1/lab',
      'redis://localhost:1',
    ]) {
      const error = await open(url)
      expect(error).toMatchObject({
        code: 'queue-unreachable',
        message: expect.stringMatching(/(127\.0\.0\.1|localhost):1: .*ECONNREFUSED/),
      })
      expect((error as Error).message).not.toMatch(/hunter2|\n/)
    }
  })

  it('refuses an address of another kind without repeating it', async () => {
    for (const url of ['amqp://lab:hunter2@127.0.0.1', 'localhost:6379', '']) {
      const error = await open(url)
      expect(error).toMatchObject({ code: 'queue-url', message: expect.stringContaining('redis://') })
      expect((error as Error).message).not.toContain('hunter2')
    }
  })
})
