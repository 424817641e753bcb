import type { RunConsumer, RunConsumerOptions, RunQueue, RunQueueFactory } from '#libs/runs'
import type { Logger } from '#libs/telemetry'
import type { BackendWorker, QueueBackend } from './backend.ts'
import { reportOnce } from './error-report.ts'
import { checkResourceClass, jobDataSchema } from './message.ts'
import { createPostgresQueueBackend } from './postgres.ts'
import { createRedisQueueBackend } from './redis.ts'
import { createRunQueue } from './run-queue.ts'
import { QUEUE_TIMING, type QueueTiming } from './timing.ts'
import { serverOf } from './url.ts'

export interface RunQueueFactoryOptions {
  /** A producer only adds and counts; a consumer may also take jobs. */
  readonly role: 'producer' | 'consumer'
  /** Connection errors are logged here, the first of a kind and then one in 30 s. */
  readonly logger: Logger
  /** Default `cxrlab_queue`. Labs that share one server need different ones. Lower-case letters, digits and `_`. */
  readonly namespace?: string
  /** Default QUEUE_TIMING. Must be the same on every worker of a namespace. */
  readonly timing?: Partial<QueueTiming>
}

/**
 * The queue behind `url`: BullMQ on Redis (redis://, rediss://) or on PostgreSQL (postgres://, postgresql://).
 * Connects once before it answers, and brings the queue's own schema on PostgreSQL up to date.
 *
 * @throws QueueUrlError where `url` is no address of a queue
 * @throws QueueUnreachableError where the server does not answer or cannot be used
 */
export async function createRunQueueFactory(url: string, options: RunQueueFactoryOptions): Promise<RunQueueFactory> {
  const timing = { ...QUEUE_TIMING, ...options.timing }
  const namespace = options.namespace ?? 'cxrlab_queue'
  const open = serverOf(url) === 'redis' ? createRedisQueueBackend : createPostgresQueueBackend
  const backend = await open({ url, namespace, timing })
  const logError = reportOnce((error) => options.logger.error({ err: error }, 'queue connection'))
  const opened: { close(): Promise<void> }[] = []
  return {
    queue(): RunQueue {
      const queue = createRunQueue((resourceClass) => backend.openQueue(queueNameOf(resourceClass), logError))
      opened.push(queue)
      return queue
    },
    async consume(consumer) {
      if (options.role !== 'consumer') throw new Error('a producer of the queue cannot consume')
      const taking = await consume(backend, consumer, timing, options.logger)
      opened.push(taking)
      return taking
    },
    async close() {
      await Promise.all(opened.splice(0).map((part) => part.close()))
    },
  }
}

function queueNameOf(resourceClass: string): string {
  return `cxrlab-${resourceClass}`
}

async function consume(
  backend: QueueBackend,
  options: RunConsumerOptions,
  timing: QueueTiming,
  logger: Logger,
): Promise<RunConsumer> {
  checkResourceClass(options.resourceClass)
  const worker = await backend.openWorker(queueNameOf(options.resourceClass), {
    concurrency: options.concurrency,
    timing,
    onError: reportOnce(options.onError),
    handle: async (jobId, data) => {
      const parsed = jobDataSchema.safeParse(data)
      // Anybody who reaches the server can write to the queue: what is no message of ours must not stop the worker.
      if (!parsed.success) return logger.warn({ job_id: jobId.slice(0, 128) }, 'dropped a job that carries no attempt id')
      await options.handle(parsed.data.attemptId).catch((error: unknown) => options.onError(asError(error)))
    },
  })
  return consumerOf(worker)
}

function consumerOf(worker: BackendWorker): RunConsumer {
  let closing: Promise<void> | undefined
  return {
    pause: () => worker.pause(true),
    close() {
      closing ??= worker.close()
      return closing
    },
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
