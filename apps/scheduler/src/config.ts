/** Configuration of the scheduler, read once from the environment. All problems are reported at once, by the variable's name. */
import { z } from 'zod'
import { LOG_LEVELS, type LogLevel } from '#libs/telemetry'
import type { SharePolicy } from './scheduler.ts'

const url = (protocols: readonly string[]) =>
  z.string({ error: 'is not set' }).refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  })
const milliseconds = (low: number, high: number) => z.coerce.number().int().min(low).max(high)

const schema = z.object({
  DATABASE_URL: url(['postgres:', 'postgresql:']),
  /** Sessions on the database beside the leader's lock and the listener. */
  DATABASE_POOL_SIZE: z.coerce.number().int().min(1).max(100).default(3),
  QUEUE_URL: url(['redis:', 'rediss:', 'postgres:', 'postgresql:']),
  /** Longest time between two looks at the outbox; a notification comes earlier. */
  OUTBOX_POLL_MS: milliseconds(50, 60_000).default(1000),
  /** Time between two sweeps over expired leases. */
  LEASE_SWEEP_MS: milliseconds(50, 60_000).default(2000),
  /** Time between two searches for jobs that the queue lost. */
  REQUEUE_SWEEP_MS: milliseconds(50, 600_000).default(5000),
  /** Time between two tries to become the one scheduler at work. */
  LEADERSHIP_RETRY_MS: milliseconds(50, 60_000).default(2000),
  /** Time between two looks for something that must make room. */
  PREEMPT_SWEEP_MS: milliseconds(50, 600_000).default(5000),
  /** How long something more urgent waits before something less urgent makes room; 0: nothing ever does. */
  PREEMPT_AFTER_MS: milliseconds(0, 3_600_000).default(15_000),
  /** Nothing makes room before it has had its device for this long. */
  PREEMPT_MIN_RUN_MS: milliseconds(0, 3_600_000).default(60_000),
  /** Device time that a user used loses half its weight in this time. */
  FAIR_SHARE_HALF_LIFE_HOURS: z.coerce.number().min(0.01).max(10_000).default(168),
  /** Attempts of one user, and of one grid, in the queue and at work together; unset: no limit. */
  LIMIT_PER_USER: z.coerce.number().int().min(1).optional(),
  LIMIT_PER_GRID: z.coerce.number().int().min(1).optional(),
  /** Attempts of a class in the queue at once; the rest waits in the outbox, in fair order. */
  QUEUE_WINDOW: z.coerce.number().int().min(1).max(5000).default(256),
  /** How long the job in hand may take to end after SIGTERM. */
  SHUTDOWN_MS: milliseconds(100, 600_000).default(10_000),
  /** Tries after a crash before the run fails, in place of the ordinary budget. Workers and scheduler must be given the same. */
  RETRY_CRASHED: z.coerce.number().int().min(0).max(1_000_000).optional(),
  /** Tries after the loss of a worker before the run fails. As above. */
  RETRY_LOST: z.coerce.number().int().min(0).max(1_000_000).optional(),
  /** A run that so many workers were lost over fails as poison. As above. */
  POISON_WORKERS: z.coerce.number().int().min(1).max(1_000_000).optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
})

export interface SchedulerConfig {
  readonly databaseUrl: string
  readonly databasePoolSize: number
  readonly queueUrl: string
  readonly outboxPollMs: number
  readonly leaseSweepMs: number
  readonly requeueSweepMs: number
  readonly leadershipRetryMs: number
  readonly preemptSweepMs: number
  readonly share: SharePolicy
  readonly shutdownMs: number
  /** In place of the ordinary budgets; see libs/runs. */
  readonly retry: { readonly retryBudgets: { crashed?: number; lost?: number }; readonly poisonWorkers?: number }
  readonly logLevel: LogLevel
}

export class ConfigError extends Error {
  readonly code = 'config-invalid'
  override readonly name = 'ConfigError'
}

/** An empty variable counts as unset. @throws ConfigError with every problem found */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): SchedulerConfig {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => !!value))
  const parsed = schema.safeParse(set)
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '))
  }
  const env = parsed.data
  return {
    databaseUrl: env.DATABASE_URL,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    queueUrl: env.QUEUE_URL,
    outboxPollMs: env.OUTBOX_POLL_MS,
    leaseSweepMs: env.LEASE_SWEEP_MS,
    requeueSweepMs: env.REQUEUE_SWEEP_MS,
    leadershipRetryMs: env.LEADERSHIP_RETRY_MS,
    preemptSweepMs: env.PREEMPT_SWEEP_MS,
    share: {
      halfLifeMs: env.FAIR_SHARE_HALF_LIFE_HOURS * 3_600_000,
      limits: {
        perUser: env.LIMIT_PER_USER ?? Number.POSITIVE_INFINITY,
        perGrid: env.LIMIT_PER_GRID ?? Number.POSITIVE_INFINITY,
      },
      window: env.QUEUE_WINDOW,
      preemptAfterMs: env.PREEMPT_AFTER_MS === 0 ? null : env.PREEMPT_AFTER_MS,
      preemptMinHeldMs: env.PREEMPT_MIN_RUN_MS,
    },
    shutdownMs: env.SHUTDOWN_MS,
    retry: retryOf(env),
    logLevel: env.LOG_LEVEL,
  }
}

function retryOf(env: z.infer<typeof schema>): SchedulerConfig['retry'] {
  const { RETRY_CRASHED: crashed, RETRY_LOST: lost, POISON_WORKERS: poisonWorkers } = env
  return {
    retryBudgets: { ...(crashed !== undefined && { crashed }), ...(lost !== undefined && { lost }) },
    ...(poisonWorkers !== undefined && { poisonWorkers }),
  }
}

export function readConfig(): SchedulerConfig {
  return parseConfig(process.env)
}
