/** What the api needs from the rest of the service; server.ts gives the real parts, tests give fakes. */
import type { FastifyBaseLogger } from 'fastify'
import type { GarbageOptions, GarbageReport, ObjectStore } from '#libs/artifacts'
import type { DatasetAddress, DatasetCheck } from '#libs/datasets'
import type {
  ApiKeyStore,
  AuditStore,
  DatasetStore,
  GridStore,
  LabReader,
  RunControl,
  SeriesReader,
  WorkerReader,
} from '#libs/runs'
import type { ServiceRegistry } from '#libs/telemetry'
import type { Comparison, ComparisonInput } from './comparison/compare.ts'

export const ARTIFACT_DOWNLOADS = ['presigned', 'streamed'] as const

export interface ApiDeps {
  readonly grids: GridStore
  readonly datasets: DatasetStore
  readonly reader: LabReader
  readonly control: RunControl
  readonly workers: WorkerReader
  readonly series: SeriesReader
  readonly apiKeys: ApiKeyStore
  readonly audit: AuditStore
  readonly objectStore: Pick<ObjectStore, 'head' | 'stream' | 'list' | 'get' | 'put' | 'presignGet'>
  /** Of the object store, with what the database still names. */
  collectGarbage: (options: Omit<GarbageOptions, 'references'>) => Promise<GarbageReport>
  /** Hash of a data set's files; throws a SpecError where they do not look like that kind. */
  fingerprint: (dataset: DatasetAddress) => Promise<string>
  /** Counts what a data set holds. */
  checkDataset: (dataset: DatasetAddress & { readonly fingerprint: string }) => Promise<DatasetCheck>
  /** Of two evaluations; off the main thread. */
  compare: (input: ComparisonInput) => Promise<Comparison>
  readonly registry: Pick<ServiceRegistry<'api'>, 'metrics' | 'contentType' | 'expose'>
  readonly logger: FastifyBaseLogger
}

export interface ApiOptions {
  /** `off`: everybody may do everything; for a server that only this machine reaches. */
  readonly auth: 'keys' | 'off'
  readonly gridPointLimit: number
  readonly bodyLimitBytes: number
  /** Folders and s3:// addresses that data sets may be registered from. */
  readonly datasetRoots: readonly string[]
  readonly rateLimitPerMinute: number
  /** `presigned`: files are fetched from the object store itself where it can be asked to allow that. */
  readonly artifactDownloads: (typeof ARTIFACT_DOWNLOADS)[number]
  /** 0: no refusal under pressure. */
  readonly maxEventLoopDelayMs: number
}
