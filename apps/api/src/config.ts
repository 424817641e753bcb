/**
 * Configuration of the api, read once from the environment. All problems are reported at once, by the variable's name;
 * values of secrets never appear in a message.
 */
import { delimiter, isAbsolute } from 'node:path'
import { z } from 'zod'
import type { OpenStoreOptions } from '#libs/artifacts'
import { isObjectAddress, splitAddresses } from '#libs/experiments'
import { LOG_LEVELS, type LogLevel } from '#libs/telemetry'
import { ARTIFACT_DOWNLOADS } from './deps.ts'

const url = (protocols: readonly string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  })

const boundedInt = (fallback: number, low: number, high: number) => z.coerce.number().int().min(low).max(high).default(fallback)

const API_AUTH = ['keys', 'off'] as const

const S3_CREDENTIALS = ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const

const environmentSchema = z.object({
  /** Address to listen on. */
  API_HOST: z.string().default('127.0.0.1'),
  /** `keys`: every request needs an API key; `off`: none does, on loopback only. Default: off on loopback, else keys. */
  API_AUTH: z.enum(API_AUTH).optional(),
  /** TCP port; 0 takes a free one. */
  API_PORT: boundedInt(8080, 0, 65_535),
  DATABASE_URL: url(['postgres:', 'postgresql:']),
  /** Sessions that the api may hold on the database. */
  DATABASE_POOL_SIZE: boundedInt(10, 2, 200),
  /** Where artifacts lie: `file:///absolute/folder` or `s3://bucket/prefix`. */
  OBJECT_STORE_URL: url(['file:', 's3:']),
  S3_ENDPOINT: url(['http:', 'https:']).optional(),
  S3_REGION: z.string().optional(),
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  /** Folders and s3:// addresses that data sets may be registered from, separated as in PATH; none: no data set can be registered. */
  DATASET_ROOTS: z
    .string()
    .default('')
    .transform((text) => splitAddresses(text, delimiter))
    .refine((roots) => roots.every((root) => isAbsolute(root) || isObjectAddress(root)), {
      message: `must be absolute folders or s3:// addresses separated by "${delimiter}"`,
    }),
  LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  /** Most points that one grid may have. */
  GRID_POINT_LIMIT: boundedInt(20_000, 1, 1_000_000),
  /** Largest request body, bytes. */
  BODY_LIMIT_BYTES: boundedInt(1_048_576, 1024, 64 * 1_048_576),
  /** Requests a minute and client address; further ones get 429. */
  RATE_LIMIT_PER_MINUTE: boundedInt(6000, 1, 1_000_000),
  /**
   * How files of runs are given out of an s3:// store: `presigned` sends the reader to the store with an address that holds for
   * five minutes; `streamed` passes them through. Default: streamed where S3_ENDPOINT names a server, which may be out of the
   * reader's reach. A folder is always streamed.
   */
  ARTIFACT_DOWNLOADS: z.enum(ARTIFACT_DOWNLOADS).optional(),
  /** Above this delay of the event loop, milliseconds, requests are refused with 503; 0 turns that off. */
  MAX_EVENT_LOOP_DELAY_MS: boundedInt(5000, 0, 600_000),
})

export interface ApiConfig {
  readonly host: string
  readonly auth: (typeof API_AUTH)[number]
  readonly port: number
  readonly databaseUrl: string
  readonly databasePoolSize: number
  readonly objectStoreUrl: string
  readonly objectStore: OpenStoreOptions
  readonly datasetRoots: readonly string[]
  readonly logLevel: LogLevel
  readonly gridPointLimit: number
  readonly bodyLimitBytes: number
  readonly rateLimitPerMinute: number
  readonly artifactDownloads: (typeof ARTIFACT_DOWNLOADS)[number]
  readonly maxEventLoopDelayMs: number
}

/** The environment cannot be used; `problems` has one line a variable. */
export class ConfigError extends Error {
  readonly code = 'config-invalid'
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`configuration: ${problems.join('; ')}`)
    this.problems = problems
  }
}

/** Whether a listen address is reachable from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Parses the given environment; an empty variable counts as unset. @throws ConfigError with every problem found. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): ApiConfig {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''))
  const parsed = environmentSchema.safeParse(set)
  const problems = (parsed.error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${describe(issue, set)}`)
  // Checked beside the schema, which checks pairs of fields only where each field is right: all problems come at once.
  if (set.API_AUTH === 'off' && set.API_HOST !== undefined && !isLoopback(set.API_HOST)) {
    problems.push(`API_AUTH: must be "keys" where API_HOST (${set.API_HOST}) reaches beyond loopback`)
  }
  problems.push(...halfCredentials(set))
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const env = parsed.data
  const credentials =
    env.S3_ACCESS_KEY_ID && env.S3_SECRET_ACCESS_KEY
      ? { accessKeyId: env.S3_ACCESS_KEY_ID, secretAccessKey: env.S3_SECRET_ACCESS_KEY }
      : undefined
  return {
    host: env.API_HOST,
    auth: env.API_AUTH ?? (isLoopback(env.API_HOST) ? 'off' : 'keys'),
    port: env.API_PORT,
    databaseUrl: env.DATABASE_URL,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    objectStoreUrl: env.OBJECT_STORE_URL,
    objectStore: {
      s3: {
        ...(env.S3_ENDPOINT && { endpoint: env.S3_ENDPOINT }),
        ...(env.S3_REGION && { region: env.S3_REGION }),
        ...(credentials && { credentials }),
      },
    },
    datasetRoots: env.DATASET_ROOTS,
    logLevel: env.LOG_LEVEL,
    gridPointLimit: env.GRID_POINT_LIMIT,
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    rateLimitPerMinute: env.RATE_LIMIT_PER_MINUTE,
    artifactDownloads: env.ARTIFACT_DOWNLOADS ?? (env.S3_ENDPOINT ? 'streamed' : 'presigned'),
    maxEventLoopDelayMs: env.MAX_EVENT_LOOP_DELAY_MS,
  }
}

/** One without the other would leave the SDK to credentials that nobody meant. */
function halfCredentials(set: Readonly<Record<string, unknown>>): string[] {
  const missing = S3_CREDENTIALS.filter((name) => !(name in set))
  return missing.length === 1 ? [`${missing[0]}: is not set, while the other half of the credentials is`] : []
}

/** The configuration of this process. */
export function readConfig(): ApiConfig {
  return parseConfig(process.env)
}

function describe(issue: z.core.$ZodIssue, set: Readonly<Record<string, unknown>>): string {
  return String(issue.path[0]) in set ? issue.message : 'is not set'
}
