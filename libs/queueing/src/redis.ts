import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { BackendOptions, QueueBackend } from './backend.ts'
import { JOB_OPTIONS, workerSettings } from './backend.ts'
import { QueueUnreachableError } from './errors.ts'
import { hostOf, reasonOf } from './url.ts'

/** BullMQ on Redis. Producers fail at once while the server is away, workers wait for it. */
export async function createRedisQueueBackend({ url, namespace, timing }: BackendOptions): Promise<QueueBackend> {
  await probe(url, timing.connectMs)
  return {
    async openQueue(name, onError) {
      const connection = { url, enableOfflineQueue: false, maxRetriesPerRequest: 1, connectTimeout: timing.connectMs }
      const queue = new Queue(name, { connection, prefix: namespace, defaultJobOptions: JOB_OPTIONS })
      queue.on('error', onError)
      await queue.waitUntilReady()
      return queue
    },
    async openWorker(name, options) {
      const connection = { url, maxRetriesPerRequest: null, connectTimeout: timing.connectMs }
      const worker = new Worker(name, async (job) => options.handle(job.id ?? '', job.data), {
        connection,
        prefix: namespace,
        ...workerSettings(options),
      })
      worker.on('error', options.onError)
      await worker.waitUntilReady()
      return worker
    },
  }
}

/** One connection with one try: a wrong address is told at the start, not retried for ever. */
async function probe(url: string, connectMs: number): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: connectMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableOfflineQueue: true,
  })
  // ioredis both emits the reason and rejects; without a listener it would print it too.
  let reason: Error | undefined
  client.on('error', (error: Error) => {
    reason = error
  })
  try {
    await client.connect()
    await client.ping()
  } catch (error) {
    const cause = reason ?? error
    throw new QueueUnreachableError(`cannot reach the queue on Redis at ${hostOf(url)}: ${reasonOf(cause)}`, { cause })
  } finally {
    client.disconnect()
  }
}
