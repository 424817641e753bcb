/**
 * npm run chaos -- [--runs 60] [--faults 200] [--seed 1] [--queue redis|postgres] [--json] [--keep]
 * Exit code 0 where everything held, 1 where something did not, 2 for a wrong option.
 */
import { parseArgs } from 'node:util'
import { findRedisServer } from '../../libs/testkit/src/redis.ts'
import { chaos, describeReport } from './chaos.ts'

const OPTIONS = {
  runs: { type: 'string', default: '60' },
  faults: { type: 'string', default: '200' },
  seed: { type: 'string', default: '1' },
  queue: { type: 'string' },
  minutes: { type: 'string', default: '60' },
  json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
} as const

class UsageError extends Error {}

function whole(name: string, text: string, low: number): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < low) throw new UsageError(`--${name} must be a whole number from ${low}`)
  return value
}

/** Redis where there is one, unless told otherwise. */
function redisFor(queue: string | undefined): string | null {
  if (queue !== undefined && queue !== 'redis' && queue !== 'postgres') throw new UsageError('--queue must be redis or postgres')
  if (queue === 'postgres') return null
  const program = findRedisServer()
  if (queue === 'redis' && program === undefined) throw new UsageError('--queue redis: there is no redis-server on the PATH')
  return program ?? null
}

function parse(argv: readonly string[]) {
  let values: ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']
  try {
    values = parseArgs({ args: [...argv], options: OPTIONS }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  return {
    runs: whole('runs', values.runs, 1),
    faults: whole('faults', values.faults, 0),
    seed: whole('seed', values.seed, 0),
    redis: redisFor(values.queue),
    withinMs: 60_000 * whole('minutes', values.minutes, 1),
    keep: values.keep,
    json: values.json,
  }
}

try {
  const options = parse(process.argv.slice(2))
  const report = await chaos({ ...options, say: (line) => process.stderr.write(`${line}\n`) })
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : describeReport(report)}\n`)
  process.exit(report.problems.length === 0 ? 0 : 1)
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof UsageError ? error.message : String((error as Error).stack)}\n`)
  process.exit(error instanceof UsageError ? 2 : 1)
}
