/**
 * Configuration of a worker, read once from the environment. All problems are reported at once, by the variable's name; values
 * never appear in a message.
 */
import { availableParallelism, homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { isObjectAddress, splitAddresses } from '#libs/experiments'
import { LOG_LEVELS, type LogLevel } from '#libs/telemetry'
import { type ChildConfig, parseChildConfig, WORKER_ENGINES } from './child/child-config.ts'
import { ConfigError } from './errors.ts'

export { ConfigError } from './errors.ts'

const url = (protocols: readonly string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  })
const boundedInt = (low: number, high: number) => z.coerce.number().int().min(low).max(high)

const DAY_MS = 86_400_000

const environmentSchema = z.object({
  DATABASE_URL: url(['postgres:', 'postgresql:']),
  /** Sessions that the supervisor may hold on the database. */
  DATABASE_POOL_SIZE: boundedInt(1, 100).default(4),
  /** Where attempt ids come from: Redis, or PostgreSQL (usually the same as DATABASE_URL). */
  QUEUE_URL: url(['redis:', 'rediss:', 'postgres:', 'postgresql:']),
  /** Where artifacts lie: `file:///absolute/folder` or `s3://bucket/prefix`. For the child alone. */
  OBJECT_STORE_URL: url(['file:', 's3:']),
  S3_ENDPOINT: url(['http:', 'https:']).optional(),
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  /** Folders and s3:// addresses whose data sets this worker may read, separated as in PATH; unset: every data set that the api let in. */
  DATASET_ROOTS: z
    .string()
    .default('')
    .transform((text) => splitAddresses(text, delimiter))
    .refine((roots) => roots.every((root) => isAbsolute(root) || isObjectAddress(root)), {
      message: `must be absolute folders or s3:// addresses separated by "${delimiter}"`,
    }),
  /** `auto` takes TensorFlow where `npm run engine:tensorflow` built it, else ONNX Runtime. */
  ENGINE: z.enum(WORKER_ENGINES).default('auto'),
  /** Threads of one child's engine. Default: the machine's cores, shared among CONCURRENCY children. */
  ENGINE_THREADS: boundedInt(1, 1024).optional(),
  /** Attempts at a time, each in a process of its own. */
  CONCURRENCY: boundedInt(1, 256).default(1),
  /** Processes that wait for an attempt with the tensor runtime loaded, some 200 MB each: a run then starts without their start-up. */
  SPARE_CHILDREN: boundedInt(0, 16).default(1),
  /** After so many minutes without an attempt the worker ends with exit code 0; unset: it waits for ever. Also `--until-idle`. */
  UNTIL_IDLE_MINUTES: z.coerce.number().positive().max(44_640).optional(),
  /** Tries after a crash before the run fails. Workers and scheduler must be given the same. */
  RETRY_CRASHED: boundedInt(0, 1_000_000).optional(),
  /** Tries after the loss of a worker before the run fails. As above. */
  RETRY_LOST: boundedInt(0, 1_000_000).optional(),
  /** A run that so many workers were lost over fails as poison. As above. */
  POISON_WORKERS: boundedInt(1, 1_000_000).optional(),
  /** Which queue this worker takes from. */
  RESOURCE_CLASS: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and `-`, 40 at most')
    .default('cpu'),
  /** Time between two heartbeats of a lease, milliseconds. */
  HEARTBEAT_MS: boundedInt(10, 3_600_000).default(10_000),
  /** After so long without a heartbeat an attempt counts as lost, and its child is killed. At least three heartbeats. */
  LEASE_MS: boundedInt(30, DAY_MS).default(45_000),
  /** Time between two checkpoints: the most work that a crash costs. */
  CHECKPOINT_EVERY_MS: boundedInt(1, DAY_MS).default(300_000),
  /** After SIGTERM the worker has so long to checkpoint and end. Keep it under the orchestrator's own grace period. */
  GRACE_MS: boundedInt(10, DAY_MS).default(60_000),
  /** A child that says nothing for so long hangs: it is killed, and the attempt counts as crashed. */
  STALL_MS: boundedInt(10, DAY_MS).default(1_800_000),
  /** Port of /metrics; 0: none. */
  METRICS_PORT: boundedInt(0, 65_535).default(0),
  /** Address of /metrics. It has no authentication: reach beyond loopback only inside a private network. */
  METRICS_HOST: z.string().default('127.0.0.1'),
  /** Most bytes of decoded packs that a child keeps on the local disk. */
  PACK_CACHE_BYTES: boundedInt(0, Number.MAX_SAFE_INTEGER).default(20 * 2 ** 30),
  /** Folder for compiled programs of the ONNX engine, 64 of them at most, so that the next run of the same shape starts sooner. */
  PROGRAM_CACHE_DIR: z.string().default(join(homedir(), '.cache', 'cxrlab', 'programs')),
  LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
})

export interface WorkerConfig {
  readonly databaseUrl: string
  readonly databasePoolSize: number
  readonly queueUrl: string
  readonly datasetRoots: readonly string[]
  readonly engine: (typeof WORKER_ENGINES)[number]
  readonly engineThreads: number
  readonly concurrency: number
  readonly spareChildren: number
  readonly idleMs: number | null
  /** In place of the ordinary budgets; see libs/runs. */
  readonly retry: { readonly retryBudgets?: { crashed?: number; lost?: number }; readonly poisonWorkers?: number }
  readonly resourceClass: string
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly checkpointEveryMs: number
  readonly graceMs: number
  readonly stallMs: number
  readonly metrics: { readonly host: string; readonly port: number } | null
  readonly logLevel: LogLevel
  /** The whole environment of a child: no database, no queue. */
  readonly childEnvironment: Readonly<Record<string, string>>
}

/** Parses the given environment; an empty variable counts as unset. @throws ConfigError with every problem found */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): WorkerConfig {
  const set = Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => !!entry[1]))
  const parsed = environmentSchema.safeParse(set)
  const problems = parsed.success
    ? crossFieldProblems(parsed.data)
    : parsed.error.issues.map(
        (issue) => `${issue.path.join('.')}: ${String(issue.path[0]) in set ? issue.message : 'is not set'}`,
      )
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const env = parsed.data
  const engineThreads = env.ENGINE_THREADS ?? Math.max(1, Math.floor(availableParallelism() / env.CONCURRENCY))
  return {
    databaseUrl: env.DATABASE_URL,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    queueUrl: env.QUEUE_URL,
    datasetRoots: env.DATASET_ROOTS,
    engine: env.ENGINE,
    engineThreads,
    concurrency: env.CONCURRENCY,
    spareChildren: env.SPARE_CHILDREN,
    idleMs: env.UNTIL_IDLE_MINUTES === undefined ? null : 60_000 * env.UNTIL_IDLE_MINUTES,
    retry: retryOf(env),
    resourceClass: env.RESOURCE_CLASS,
    heartbeatMs: env.HEARTBEAT_MS,
    leaseMs: env.LEASE_MS,
    checkpointEveryMs: env.CHECKPOINT_EVERY_MS,
    graceMs: env.GRACE_MS,
    stallMs: env.STALL_MS,
    metrics: env.METRICS_PORT === 0 ? null : { host: env.METRICS_HOST, port: env.METRICS_PORT },
    logLevel: env.LOG_LEVEL,
    childEnvironment: childEnvironment(set, {
      OBJECT_STORE_URL: env.OBJECT_STORE_URL,
      ENGINE: env.ENGINE,
      ENGINE_THREADS: String(engineThreads),
      PACK_CACHE_BYTES: String(env.PACK_CACHE_BYTES),
      PROGRAM_CACHE_DIR: env.PROGRAM_CACHE_DIR,
      // Images are decoded in libuv's threads, of which there are four unless asked for.
      UV_THREADPOOL_SIZE: String(Math.max(4, availableParallelism())),
      // Huge pages for what the engine allocates: a ViT step on TensorFlow takes about 8 % less processor time. Linux's libc reads it.
      GLIBC_TUNABLES: set.GLIBC_TUNABLES ?? 'glibc.malloc.hugetlb=1',
      LOG_LEVEL: env.LOG_LEVEL,
    }),
  }
}

/** The configuration of this process; what its command line says wins. @throws ConfigError */
export function readConfig(argv: readonly string[]): WorkerConfig {
  return parseConfig({ ...process.env, ...argumentsOf(argv) })
}

function argumentsOf(argv: readonly string[]): Record<string, string> {
  try {
    const { values } = parseArgs({ args: [...argv], options: { 'until-idle': { type: 'string' } } })
    return values['until-idle'] === undefined ? {} : { UNTIL_IDLE_MINUTES: values['until-idle'] }
  } catch (error) {
    throw new ConfigError([`${(error as Error).message}; usage: [--until-idle MINUTES]`])
  }
}

function retryOf(env: z.infer<typeof environmentSchema>): WorkerConfig['retry'] {
  const { RETRY_CRASHED: crashed, RETRY_LOST: lost, POISON_WORKERS: poisonWorkers } = env
  return {
    retryBudgets: { ...(crashed !== undefined && { crashed }), ...(lost !== undefined && { lost }) },
    ...(poisonWorkers !== undefined && { poisonWorkers }),
  }
}

/** The configuration of a child process, out of the environment that its supervisor gave it. */
export function readChildConfig(): ChildConfig {
  return parseChildConfig(process.env)
}

function crossFieldProblems(env: z.infer<typeof environmentSchema>): string[] {
  const problems: string[] = []
  if (env.LEASE_MS < 3 * env.HEARTBEAT_MS) {
    problems.push('LEASE_MS: must be at least three times HEARTBEAT_MS, so that one lost heartbeat does not lose the attempt')
  }
  // One without the other would leave the SDK to credentials that nobody meant.
  const missing = (['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const).filter((name) => env[name] === undefined)
  if (missing.length === 1) problems.push(`${missing[0]}: is not set, while the other half of the credentials is`)
  return problems
}

/** What any process needs to run, and what reaches the object store and the accelerator. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'TMPDIR',
  'TEMP',
  'TMP',
  'LANG',
  'LC_ALL',
  'TZ',
  'LD_LIBRARY_PATH',
  'SYSTEMROOT',
  'SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
]
const PASSED_ON_PREFIXES = ['S3_', 'AWS_', 'CUDA_', 'NVIDIA_', 'OMP_']

/** An allow list: a secret that is added to the worker's environment later does not reach the children by itself. */
function childEnvironment(set: Readonly<Record<string, string>>, own: Readonly<Record<string, string>>): Record<string, string> {
  const passed = Object.entries(set).filter(
    ([name]) => PASSED_ON.includes(name.toUpperCase()) || PASSED_ON_PREFIXES.some((prefix) => name.startsWith(prefix)),
  )
  return { ...Object.fromEntries(passed), ...own }
}
