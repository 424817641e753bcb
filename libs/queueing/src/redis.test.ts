import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findRedisServer, startTestRedis, type TestRedis } from '#libs/testkit'
import { queueUnderTest } from './conformance/queue-under-test.ts'
import { Recorder } from './conformance/recorder.ts'
import { runQueueConformance } from './conformance/run-queue.ts'

const given = process.env.REDIS_TEST_URL
const program = findRedisServer()
if (!given && !program) {
  console.warn('The queue on Redis is not tested: REDIS_TEST_URL is not set and there is no redis-server on the PATH.')
}

let own: TestRedis | undefined
beforeAll(async () => {
  if (program) own = await startTestRedis(program)
})
afterAll(() => own?.stop())

describe.skipIf(!given && !program)('with a Redis (REDIS_TEST_URL or a redis-server on the PATH)', () => {
  runQueueConformance('Redis', async () => queueUnderTest(given ?? own!.url))
})

describe.skipIf(!program)('the queue on Redis (with a redis-server on the PATH) while the server is away', () => {
  it('refuses to add at once, and both ends go on when it is back', async () => {
    const under = queueUnderTest(own!.url)
    const [producer, consumer] = [await under.factory('producer'), await under.factory('consumer')]
    try {
      const queue = producer.queue()
      const recorder = new Recorder()
      await consumer.consume({ resourceClass: 'cpu', concurrency: 1, handle: recorder.handle, onError: recorder.onError })
      const message = { attemptId: 'a1', resourceClass: 'cpu', queuePriority: 1 }
      await queue.add([message])
      await recorder.handled(1)
      await own!.interrupt()
      await expect(queue.add([{ ...message, attemptId: 'a2' }])).rejects.toThrow()
      await own!.restart()
      await untilAdded(() => queue.add([{ ...message, attemptId: 'a3' }]))
      await recorder.handled(2)
      expect(recorder.ids).toEqual(['a1', 'a3'])
      // One line for the whole outage and its kind, not one a retry.
      const refused = recorder.errors.filter(({ message }) => message.includes('ECONNREFUSED'))
      expect(refused.length).toBeLessThanOrEqual(1)
    } finally {
      await producer.close()
      await consumer.close()
    }
  })
})

/** As the scheduler does: what could not be handed over stays in the outbox and is tried again. */
async function untilAdded(add: () => Promise<void>): Promise<void> {
  for (;;) {
    const failed = await add().then(
      () => false,
      () => true,
    )
    if (!failed) return
    await new Promise(setImmediate)
  }
}
