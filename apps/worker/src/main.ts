/** The worker's process: composes, starts, stops. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createRunQueueFactory } from '#libs/queueing'
import { assertSchema, openRunStore, SchemaMismatchError } from '#libs/run-store'
import { createLogger, createRegistry, type Logger } from '#libs/telemetry'
import packageJson from '../../../package.json' with { type: 'json' }
import { ConfigError, readConfig, type WorkerConfig } from './config.ts'
import { checkEngine } from './engine-check.ts'
import { serveMetrics } from './metrics-server.ts'
import { type Stoppable, stopOnSignals } from './signals.ts'
import { Supervisor } from './supervisor.ts'

const CHILD_ENTRY = fileURLToPath(new URL('./child/main.ts', import.meta.url))

async function start(config: WorkerConfig, logger: Logger, onIdle: () => void): Promise<Stoppable> {
  await checkDatabase(config.databaseUrl)
  await checkEngine(config)
  const runStore = await openRunStore({ databaseUrl: config.databaseUrl, poolSize: config.databasePoolSize, ...config.retry })
  const queue = await createRunQueueFactory(config.queueUrl, { role: 'consumer', logger })
  const registry = createRegistry('worker')
  const metricsServer = config.metrics && (await serveMetrics(registry, config.metrics))
  const supervisor = new Supervisor({
    ...config,
    store: runStore.attempts,
    queue,
    logger,
    metrics: registry.metrics,
    idle: config.idleMs === null ? null : { afterMs: config.idleMs, onIdle },
    program: { entry: CHILD_ENTRY, environment: config.childEnvironment },
    identity: {
      id: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
      hostname: hostname(),
      resourceClass: config.resourceClass,
      engine: config.engine,
      version: packageJson.version,
      slots: config.concurrency,
    },
  })
  await supervisor.start()
  return {
    async stop() {
      await supervisor.stop()
      await queue.close()
      await runStore.close()
      await metricsServer?.close()
      registry.close()
    },
    kill: () => supervisor.kill(),
  }
}

async function checkDatabase(databaseUrl: string): Promise<void> {
  try {
    await assertSchema(databaseUrl)
  } catch (error) {
    if (error instanceof SchemaMismatchError) throw error
    throw new Error(`cannot reach the database at ${new URL(databaseUrl).host}: ${reasonOf(error)}`, { cause: error })
  }
}

/** A name with several addresses fails with an AggregateError, whose own message is empty. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && !error.message) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}

async function main(): Promise<void> {
  let config: WorkerConfig
  try {
    config = readConfig(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) console.error(`cxrlab worker: ${problem}`)
    process.exit(1)
  }
  const logger = createLogger({ service: 'worker', level: config.logLevel })
  try {
    // Before the start is over: a signal during it must be heard, and not end the process in the middle.
    const starting = start(config, logger, () => {
      logger.info({ idle_ms: config.idleMs }, 'nothing to do: the worker leaves')
      stop()
    })
    let running: Stoppable | undefined
    const worker: Stoppable = { stop: async () => (await starting).stop(), kill: () => running?.kill() }
    const stop = stopOnSignals(worker, process, config.graceMs, logger)
    running = await starting
  } catch (error) {
    // One line for the operator; the log has the rest.
    logger.debug({ err: error }, 'worker could not start')
    console.error(`cxrlab worker: ${reasonOf(error).split('\n')[0]}`)
    process.exit(1)
  }
}

await main()
