/** The scheduler's process: composes, starts, stops. */
import { createRunQueueFactory } from '#libs/queueing'
import { assertSchema, openRunStore } from '#libs/run-store'
import { createLogger } from '#libs/telemetry'
import { readConfig } from './config.ts'
import { runScheduler } from './scheduler.ts'

async function main(): Promise<void> {
  const config = readConfig()
  const logger = createLogger({ service: 'scheduler', level: config.logLevel })
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  process.on('SIGINT', () => stop.abort())
  await assertSchema(config.databaseUrl)
  const store = await openRunStore({ databaseUrl: config.databaseUrl, poolSize: config.databasePoolSize })
  const queues = await createRunQueueFactory(config.queueUrl, { role: 'producer', logger })
  await runScheduler({ store: store.scheduler, queue: queues.queue(), timing: config, logger }, stop.signal)
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
  console.error(`cxrlab scheduler: ${reason.split('\n')[0]}`)
  process.exit(1)
}
