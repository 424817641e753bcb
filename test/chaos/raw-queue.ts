/** The queue as anybody sees it who reaches its server: jobs under any name, in any order, or none at all. */
import { createPostgresBackend, Queue, withBackend } from 'bullmq'

export interface RawQueue {
  add(jobs: readonly { readonly attemptId: string; readonly jobId: string; readonly priority: number }[]): Promise<void>
  /** Removes what waits. */
  drain(): Promise<void>
  /** Removes everything, jobs at work too. */
  wipe(): Promise<void>
  close(): Promise<void>
}

const NAME = 'cxrlab-cpu'
const NAMESPACE = 'cxrlab_queue'

export async function openRawQueue(url: string): Promise<RawQueue> {
  const queue = url.startsWith('redis')
    ? new Queue(NAME, { connection: { url }, prefix: NAMESPACE })
    : new (withBackend(createPostgresBackend).Queue)(NAME, { connection: { connectionString: url, schema: NAMESPACE, max: 1 } })
  queue.on('error', () => {})
  await queue.waitUntilReady()
  return {
    async add(jobs) {
      await queue.addBulk(
        jobs.map(({ attemptId, jobId, priority }) => ({
          name: 'attempt',
          data: { attemptId },
          opts: { jobId, priority, removeOnComplete: true, removeOnFail: true },
        })),
      )
    },
    drain: () => queue.drain(),
    wipe: () => queue.obliterate({ force: true }),
    close: () => queue.close(),
  }
}
