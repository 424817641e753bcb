/** Configuration of the child process: what the supervisor passes on (see childEnvironment in ../config.ts). */
import { z } from 'zod'
import type { OpenStoreOptions } from '#libs/artifacts'
import { LOG_LEVELS } from '#libs/telemetry'

export const WORKER_ENGINES = ['auto', 'onnx', 'tensorflow', 'eager'] as const

const schema = z.object({
  OBJECT_STORE_URL: z.string().min(1),
  S3_ENDPOINT: z.string().optional(),
  S3_REGION: z.string().optional(),
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  ENGINE: z.enum(WORKER_ENGINES),
  ENGINE_THREADS: z.coerce.number().int().positive(),
  PACK_CACHE_BYTES: z.coerce.number().int().min(0),
  PROGRAM_CACHE_DIR: z.string().optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS),
})

export interface ChildConfig {
  readonly objectStoreUrl: string
  readonly objectStoreOptions: OpenStoreOptions
  readonly engine: (typeof WORKER_ENGINES)[number]
  readonly engineThreads: number
  readonly packCacheBytes: number
  /** Null: compiled programs are not kept. */
  readonly programCacheFolder: string | null
  readonly logLevel: z.infer<typeof schema>['LOG_LEVEL']
}

export function parseChildConfig(environment: Readonly<Record<string, string | undefined>>): ChildConfig {
  const env = schema.parse(environment)
  const credentials =
    env.S3_ACCESS_KEY_ID && env.S3_SECRET_ACCESS_KEY
      ? { accessKeyId: env.S3_ACCESS_KEY_ID, secretAccessKey: env.S3_SECRET_ACCESS_KEY }
      : undefined
  return {
    objectStoreUrl: env.OBJECT_STORE_URL,
    objectStoreOptions: {
      s3: {
        ...(env.S3_ENDPOINT && { endpoint: env.S3_ENDPOINT }),
        ...(env.S3_REGION && { region: env.S3_REGION }),
        ...(credentials && { credentials }),
      },
    },
    engine: env.ENGINE,
    engineThreads: env.ENGINE_THREADS,
    packCacheBytes: env.PACK_CACHE_BYTES,
    programCacheFolder: env.PROGRAM_CACHE_DIR || null,
    logLevel: env.LOG_LEVEL,
  }
}
