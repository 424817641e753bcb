/** The process of a worker's engine check: ends with 0 where children can compute here, else with a line that says why not. */
import { createExecutor, resolveEngine, selfCheck } from '#libs/engine'
import { createLogger } from '#libs/telemetry'
import { readChildConfig } from '../config.ts'

const config = readChildConfig()
const logger = createLogger({ service: 'worker-child', level: config.logLevel })
try {
  const { engine, reason } = resolveEngine(config.engine)
  if (engine === 'tensorflow') await selfCheck(createExecutor(engine, { threads: config.engineThreads }))
  logger.info({ engine, reason }, engine === 'tensorflow' ? 'engine checked' : 'engine needs no check')
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
