import { createPostgresBackend, runMigrations, withBackend } from 'bullmq'
import { Client } from 'pg'
import { type BackendOptions, JOB_OPTIONS, type QueueBackend, workerSettings } from './backend.ts'
import { QueueUnreachableError } from './errors.ts'
import { hostOf, reasonOf } from './url.ts'

const { Queue, Worker } = withBackend(createPostgresBackend)

/** Sessions of one queue or worker, besides the one that listens. */
const POOL_SIZE = 2
/** The queue may lose its last moments: the attempts stand in the tables, and the scheduler re-adds them. Halves the dispatch time. */
const SESSION_OPTIONS = '-c synchronous_commit=off'

/** BullMQ on PostgreSQL, in a schema of its own beside the service's tables. Brings that schema up to date first. */
export async function createPostgresQueueBackend({ url, namespace, timing }: BackendOptions): Promise<QueueBackend> {
  const session = sessionOf(url)
  await prepareSchema(session, namespace, timing.connectMs, url)
  const connection = {
    ...session,
    schema: namespace,
    max: POOL_SIZE,
    connectionTimeoutMillis: timing.connectMs,
    application_name: 'cxrlab-queue',
  }
  return {
    async openQueue(name, onError) {
      const queue = new Queue(name, { connection, defaultJobOptions: JOB_OPTIONS })
      queue.on('error', onError)
      await queue.waitUntilReady()
      return queue
    },
    async openWorker(name, options) {
      const worker = new Worker(name, async (job) => options.handle(job.id ?? '', job.data), {
        connection,
        ...workerSettings(options),
      })
      worker.on('error', options.onError)
      await worker.waitUntilReady()
      return worker
    },
  }
}

async function prepareSchema(session: Session, schema: string, connectMs: number, url: string): Promise<void> {
  const client = new Client({ ...session, connectionTimeoutMillis: connectMs })
  client.on('error', () => {}) // A session lost while in use also rejects the query, which is what is reported.
  try {
    await client.connect()
    await runMigrations(client, schema)
  } catch (error) {
    throw new QueueUnreachableError(`cannot use the queue on PostgreSQL at ${hostOf(url)}: ${reasonOf(error)}`, {
      cause: error,
    })
  } finally {
    await client.end().catch(() => {})
  }
}

interface Session {
  readonly connectionString: string
  readonly options: string
}

/** `options` inside a connection string would win over the field, and BullMQ's search path with it: it is moved out. */
function sessionOf(url: string): Session {
  const parsed = new URL(url)
  const own = parsed.searchParams.get('options')
  parsed.searchParams.delete('options')
  return { connectionString: parsed.href, options: own ? `${own} ${SESSION_OPTIONS}` : SESSION_OPTIONS }
}
