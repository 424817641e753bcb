/** The worker's process with a child that computes nothing: what is left is the cost of the control plane. */
import { fileURLToPath } from 'node:url'
import { createRunQueueFactory } from '#libs/queueing'
import { openRunStore } from '#libs/run-store'
import { createLogger, createRegistry } from '#libs/telemetry'
import { parseConfig } from '../../apps/worker/src/config.ts'
import { Supervisor } from '../../apps/worker/src/supervisor.ts'

const config = parseConfig(process.env)
const logger = createLogger({ service: 'worker', level: config.logLevel })
const store = await openRunStore({ databaseUrl: config.databaseUrl, poolSize: config.databasePoolSize })
const queue = await createRunQueueFactory(config.queueUrl, { role: 'consumer', logger })
const id = `bench-${process.pid}-00000000`
const supervisor = new Supervisor({
  ...config,
  store: store.attempts,
  queue,
  logger,
  metrics: createRegistry('worker').metrics,
  program: {
    entry: fileURLToPath(new URL('./quick-child.mjs', import.meta.url)),
    environment: { PATH: process.env.PATH ?? '' },
    execArgv: [],
  },
  identity: { id, hostname: 'bench', resourceClass: 'cpu', engine: 'none', version: '0', slots: config.concurrency },
})
await supervisor.start()
process.on('SIGTERM', async () => {
  await supervisor.stop()
  process.exit(0)
})
