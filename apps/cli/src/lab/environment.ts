/** What the services of an embedded lab are told. Pure. */
import { delimiter } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { LabFolder } from './lab-folder.ts'

export interface LabAddresses {
  readonly databaseUrl: string
  /** Undefined: the queue lies in the same Postgres. */
  readonly queueUrl: string | undefined
  readonly port: number
  /** Of the worker's own /metrics: step times, images and losses are known there alone. */
  readonly workerMetricsPort: number
  readonly datasetRoots: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

export function serviceEnvironment(base: Environment, folder: LabFolder, addresses: LabAddresses): Environment {
  return {
    ...base,
    DATABASE_URL: addresses.databaseUrl,
    QUEUE_URL: addresses.queueUrl ?? addresses.databaseUrl,
    OBJECT_STORE_URL: pathToFileURL(folder.objects).href,
    DATASET_ROOTS: addresses.datasetRoots.join(delimiter),
    API_HOST: '127.0.0.1',
    API_PORT: String(addresses.port),
    METRICS_HOST: '127.0.0.1',
    METRICS_PORT: String(addresses.workerMetricsPort),
  }
}
