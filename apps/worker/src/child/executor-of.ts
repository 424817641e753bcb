/** The engine that an attempt computes with. */
import {
  createExecutor,
  type EngineName,
  type Executor,
  type ExecutorOptions,
  resolveEngine,
  UnsupportedOptionError,
} from '#libs/engine'
import type { EvaluationSpec } from '#libs/experiments'
import { SpecError } from '#libs/training'
import type { Job } from './job.ts'

type Numerics = Pick<EvaluationSpec, 'precision' | 'xla'>

/**
 * The worker's engine with the numerics of a spec. Tells the supervisor which engine computes, and what its first step cost to trace, compile and load.
 * @throws SpecError where this worker's engine cannot compute as the spec asks
 */
export function executorOf({ config, link, log }: Job, { precision, xla }: Numerics): Executor {
  const { engine, reason } = resolveEngine(config.engine)
  log.info({ engine, reason, threads: config.engineThreads, precision, xla }, 'engine chosen')
  const executor = created(engine, {
    threads: config.engineThreads,
    precision,
    xla,
    programCacheFolder: config.programCacheFolder,
  })
  let isFirst = true
  return {
    name: executor.name,
    load: async (step, state) => {
      const fromMs = performance.now()
      const session = await executor.load(step, state)
      if (isFirst)
        link.send({ type: 'engine', engine, threads: config.engineThreads, startUpMs: Math.round(performance.now() - fromMs) })
      isFirst = false
      return session
    },
  }
}

function created(engine: EngineName, options: ExecutorOptions): Executor {
  try {
    return createExecutor(engine, options)
  } catch (error) {
    if (error instanceof UnsupportedOptionError) throw new SpecError(error.message, { field: error.option }, { cause: error })
    throw error
  }
}
