/** A queue of one conformance run, and the two things that only somebody behind the port's back can do to it. */
import { randomBytes } from 'node:crypto'
import { createPostgresBackend, Queue, withBackend } from 'bullmq'
import type { RunQueueFactory } from '#libs/runs'
import { createLogger } from '#libs/telemetry'
import { createRunQueueFactory, type RunQueueFactoryOptions } from '../factory.ts'
import type { QueueTiming } from '../timing.ts'
import { serverOf } from '../url.ts'

/** Short enough for a test to see a killed worker's job handed on. */
export const TEST_TIMING: QueueTiming = { lockMs: 1500, stalledMs: 500, connectMs: 5000 }

export interface QueueUnderTest {
  readonly url: string
  readonly namespace: string
  factory(role: RunQueueFactoryOptions['role']): Promise<RunQueueFactory>
  /** Loses every job, as a restart of a server without persistence does. */
  flush(): Promise<void>
  /** Adds a job that no RunQueue would make. */
  addRaw(jobId: string, data: unknown): Promise<void>
}

/** @param url a server that the test may write to; all it writes lies under a namespace of its own */
export function queueUnderTest(url: string): QueueUnderTest {
  const namespace = `test_${randomBytes(6).toString('hex')}`
  return {
    url,
    namespace,
    factory: (role) =>
      createRunQueueFactory(url, {
        role,
        namespace,
        timing: TEST_TIMING,
        logger: createLogger({ service: 'test', level: 'silent' }),
      }),
    flush: () => withRawQueue(url, namespace, (queue) => queue.obliterate({ force: true })),
    addRaw: (jobId, data) =>
      withRawQueue(url, namespace, async (queue) => {
        await queue.add('nonsense', data, { jobId })
      }),
  }
}

type RawQueue = Pick<Queue, 'add' | 'obliterate' | 'close'>

async function withRawQueue(url: string, namespace: string, use: (queue: RawQueue) => Promise<void>): Promise<void> {
  const name = 'cxrlab-cpu'
  const queue: RawQueue =
    serverOf(url) === 'redis'
      ? new Queue(name, { connection: { url }, prefix: namespace })
      : (new (withBackend(createPostgresBackend).Queue)(name, {
          connection: { connectionString: url, schema: namespace, max: 1 },
        }) as unknown as RawQueue)
  try {
    await use(queue)
  } finally {
    await queue.close()
  }
}
