/** The scheduler's process: composes, starts, stops. */
import { createRunQueueFactory } from '#libs/queueing'
import { assertSchema, openRunStore } from '#libs/run-store'
import { createLogger } from '#libs/telemetry'
import { readConfig } from './config.ts'
import { runScheduler } from './scheduler.ts'
import { onShutdown } from './shutdown.ts'

function fail(reason: string): never {
  console.error(`cxrlab scheduler: ${reason}`)
  process.exit(1)
}

async function main(): Promise<void> {
  const config = readConfig()
  const logger = createLogger({ service: 'scheduler', level: config.logLevel })
  const stop = onShutdown({ signals: process, deadlineMs: config.shutdownMs, giveUp: fail })
  await assertSchema(config.databaseUrl)
  const store = await openRunStore({ databaseUrl: config.databaseUrl, poolSize: config.databasePoolSize, ...config.retry })
  const queues = await createRunQueueFactory(config.queueUrl, { role: 'producer', logger })
  const { scheduler, planning } = store
  await runScheduler({ ...config, store: scheduler, planning, queue: queues.queue(), timing: config, logger }, stop)
  await queues.close()
  await store.close()
}

try {
  await main()
  process.exit(0)
} catch (error) {
  const reason =
    error instanceof AggregateError && error.message === ''
      ? error.errors.map(String).join(', ')
      : String((error as Error).message)
  fail(reason.split('\n')[0] ?? reason)
}
