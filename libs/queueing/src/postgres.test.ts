import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '#libs/telemetry'
import { createEmptyDatabase, type TestDatabase } from '#libs/testkit'
import { queueUnderTest } from './conformance/queue-under-test.ts'
import { Recorder } from './conformance/recorder.ts'
import { runQueueConformance } from './conformance/run-queue.ts'
import { createRunQueueFactory } from './factory.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
let database: TestDatabase
beforeAll(async () => {
  database = await createEmptyDatabase()
})
afterAll(() => database.drop())

runQueueConformance('PostgreSQL', async () => queueUnderTest(database.url))

describe('the queue on PostgreSQL', () => {
  it('goes on after the server dropped all its sessions', async () => {
    const under = queueUnderTest(database.url)
    const factory = await under.factory('consumer')
    try {
      const queue = factory.queue()
      const recorder = new Recorder()
      await factory.consume({ resourceClass: 'cpu', concurrency: 1, handle: recorder.handle, onError: recorder.onError })
      await queue.add([{ attemptId: 'before', resourceClass: 'cpu', queuePriority: 1 }])
      await recorder.handled(1)
      await dropSessions(database.url)
      // A session may notice its end only at its next use: the scheduler tries again, and so does this.
      const message = { attemptId: 'after', resourceClass: 'cpu', queuePriority: 1 }
      await queue.add([message]).catch(() => queue.add([message]))
      await recorder.handled(2)
      expect(recorder.ids).toEqual(['before', 'after'])
    } finally {
      await factory.close()
    }
  })

  it('keeps to its own schema when the address brings session options', async () => {
    const url = new URL(database.url)
    url.searchParams.set('options', '-c search_path=elsewhere -c statement_timeout=20000')
    const factory = await createRunQueueFactory(url.href, { role: 'producer', logger, namespace: 'test_options' })
    try {
      const queue = factory.queue()
      await queue.add([{ attemptId: 'a1', resourceClass: 'cpu', queuePriority: 1 }])
      expect(await queue.counts('cpu')).toEqual({ waiting: 1, active: 0 })
    } finally {
      await factory.close()
    }
  })
})

async function dropSessions(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    )
  } finally {
    await client.end()
  }
}
